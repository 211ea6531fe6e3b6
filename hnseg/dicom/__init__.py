"""DICOM: studies to cases, masks to DICOM SEG and RTSTRUCT. Needs the extra ``dicom`` (pydicom, highdicom)."""

try:
    import pydicom  # noqa: F401  (asked for here, once, so that its absence gives one clear message)
except ModuleNotFoundError as error:
    if error.name != "pydicom":
        raise
    raise ImportError('DICOM needs pydicom, which is not installed: pip install "ssimh[dicom]"') from error
