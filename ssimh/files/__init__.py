"""Image files, reference files, and whole folders of them."""
