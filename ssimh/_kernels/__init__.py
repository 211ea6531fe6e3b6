"""The transform itself: cosine basis, coefficients, and the NumPy and torch kernels."""
