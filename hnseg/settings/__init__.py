"""Every setting of a run: its type, limits, unit and source, and the presets."""
