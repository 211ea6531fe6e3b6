"""Crop methods: the box around head and neck."""
