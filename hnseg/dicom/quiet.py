"""pydicom without its warnings: they carry values of attributes, and those can identify a patient."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import config


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Read DICOM without warnings, log lines, and the checks of values that lead to them."""
    logger = logging.getLogger("pydicom")
    before = logger.disabled, config.settings.reading_validation_mode
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.disabled = True
        config.settings.reading_validation_mode = config.IGNORE
        try:
            yield
        finally:
            logger.disabled, config.settings.reading_validation_mode = before
