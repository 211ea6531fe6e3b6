"""Series of a folder tree: found, sorted by geometry, and read as volumes."""
