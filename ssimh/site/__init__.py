"""Sites: what the scans of one scanner have in common, and alignment from one site to another."""
