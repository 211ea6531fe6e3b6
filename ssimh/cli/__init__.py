"""The ``ssimh`` command."""
