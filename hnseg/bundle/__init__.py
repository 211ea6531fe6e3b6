"""MONAI Bundle: a trained run as a folder that ``python -m monai.bundle run`` predicts with."""
