"""Entry point of the ``ssimh`` command; the commands themselves are in the modules beside it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command, or say which extra it lacks."""
    try:
        from ssimh.cli.app import app
    except ImportError as error:
        if error.name not in ("rich", "typer") and "ssimh[cli]" not in str(error):
            raise
        sys.exit(f'The ssimh command needs more than the core library ({error}). pip install "ssimh[cli]"')
    app()


if __name__ == "__main__":
    main()
