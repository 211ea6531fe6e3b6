"""One recipe applied to many scans: resumable, with a manifest, figures and a report."""
