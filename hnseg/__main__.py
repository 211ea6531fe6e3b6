"""``python -m hnseg``."""

from hnseg.cli import main

main()
