"""DICOM: studies to cases, masks to DICOM SEG and RTSTRUCT. Needs the extra ``dicom`` (pydicom, highdicom)."""
