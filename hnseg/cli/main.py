"""Entry point of the ``hnseg`` command; the commands themselves are in :mod:`hnseg.cli.commands`."""

from __future__ import annotations

import sys

# Modules of the extra ``hnseg``; without one of them a command ends with one line instead of a traceback.
EXTRA = (
    *("SimpleITK", "jinja2", "joblib", "lightning_fabric", "matplotlib", "monai", "pydantic"),
    *("rich", "ruamel", "torch", "typer", "zarr"),
)


def main() -> None:
    """Run the command, or name the extra that it lacks."""
    try:
        from hnseg.cli.commands import app

        app()
    except ImportError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRA and "pip install" not in str(error):
            raise
        sys.exit(f'The hnseg command needs more than the core library ({error}). pip install "ssimh[hnseg]"')


if __name__ == "__main__":
    main()
