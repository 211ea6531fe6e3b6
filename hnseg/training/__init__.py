"""Training: the loop over epochs, the patches it sees, and the folds."""
