"""``python -m ssimh`` is the ``ssimh`` command."""

from __future__ import annotations

from ssimh.cli.main import main

if __name__ == "__main__":
    main()
