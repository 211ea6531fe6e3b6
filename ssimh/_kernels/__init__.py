"""The transform itself: cosine basis, coefficients, the NumPy and torch kernels, and checks of what they are given."""
