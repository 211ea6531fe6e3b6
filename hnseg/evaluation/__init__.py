"""Scores of masks against reference labels: overlap, distances, cases, cohorts."""
