"""What tells sites apart before and after alignment, on folders of scans: ``ssimh benchmark``."""
