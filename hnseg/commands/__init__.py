"""The commands of ``hnseg``: one file per part of the pipeline, each command a thin shell around a function."""
