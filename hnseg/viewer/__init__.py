"""Cases of PET/CT for the viewer of :mod:`ssimh.viewer`: layers, outlines in hnseg's styles, the table of lesions."""
