"""The application with all its commands, in the order in which they are run.

Exit status: 0 everything done; 1 a message on standard error says what went wrong (also when single cases had to be
left out and the others were done); 2 unusable arguments.
"""

from __future__ import annotations

from hnseg.cli import settings  # isort: skip  (its commands come first)
from hnseg.cli import cohort, dicom, prediction, results, training, view
from hnseg.cli.app import app

__all__ = ["app", "cohort", "dicom", "prediction", "results", "settings", "training", "view"]
