"""Image files: a strict reader, headers and voxels verified, scans with geometry and unit."""
