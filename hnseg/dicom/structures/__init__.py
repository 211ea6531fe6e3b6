"""Structures: RTSTRUCT and SEG to masks, masks to SEG and RTSTRUCT."""
