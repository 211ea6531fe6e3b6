"""The header of a PET series, from DICOM attributes and a table of corrections to the values that its SUV needs."""
