"""Why a series cannot be used, where its name is not known yet."""

from __future__ import annotations


class SeriesFault(Exception):
    """What is wrong with a series; becomes its ``why_unusable``, or a :class:`hnseg.errors.DicomError` with its name.

    Args:
        message: What is wrong and what is allowed; without identifiers.
        tag: Keyword of the attribute at fault.
        is_damage: Of a file: it may have been an image of a series.
    """

    def __init__(self, message: str, tag: str | None = None, *, is_damage: bool = False) -> None:
        self.message = message
        self.tag = tag
        self.is_damage = is_damage
        super().__init__(message)
