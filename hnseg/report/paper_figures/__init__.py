"""The figures of a run for a paper: one file a figure, and what they share."""
