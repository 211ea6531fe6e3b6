"""``python -m hnseg``."""

from hnseg.cli.main import main

main()
