"""Where the box around head and neck lies."""
