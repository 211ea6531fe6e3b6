"""Which cases there are, their units, and how they are split."""
