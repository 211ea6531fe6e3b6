"""nnU-Net: raw datasets and new cases with one harmonized channel, and the settings kept beside them."""
