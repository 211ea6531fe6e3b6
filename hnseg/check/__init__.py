"""Check of a cohort before any computation: findings, and their page."""
