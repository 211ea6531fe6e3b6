"""Planes, colors, encodings and page templates for everything that is looked at."""
