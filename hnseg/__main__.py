"""``python -m hnseg``: the ``hnseg`` command."""

from hnseg.cli.main import main

main()
