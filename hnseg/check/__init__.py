"""Findings about a cohort before anything is computed from it."""
