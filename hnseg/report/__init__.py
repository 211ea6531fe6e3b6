"""The report on a run: its page and its figures."""
