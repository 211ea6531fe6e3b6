"""Standardized uptake values: from the header of a PET to the factor of its values. No I/O, no pydicom."""
