"""Why a series cannot be used, where its name is not known yet."""

from __future__ import annotations


class SeriesFault(Exception):
    """What is wrong with a series; becomes its ``why_unusable``, or a :class:`hnseg.errors.DicomError` with its name.

    Args:
        message: What is wrong and what is allowed; without identifiers.
        tag: Keyword of the attribute at fault.
        series_uid: Series of the file at fault, where it is known; not part of the message.
    """

    def __init__(self, message: str, tag: str | None = None, series_uid: str = "") -> None:
        self.message = message
        self.tag = tag
        self.series_uid = series_uid
        super().__init__(message)
