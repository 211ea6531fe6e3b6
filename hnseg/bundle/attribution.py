"""Who answers for a bundle and under which terms it is shared: what a run does not know."""

from __future__ import annotations

from dataclasses import dataclass, fields

from hnseg.errors import OptionError

NOT_STATED = "not stated at the export: state it before you share the bundle"


@dataclass(frozen=True)
class Attribution:
    """What the exporter states about a bundle; None for what is not stated.

    Attributes:
        authors: Names of those who trained the networks.
        copyright: Copyright notice of the weights.
        data_source: Where the training data are from, and under which terms.
        license: License of the weights, by its name or SPDX identifier.

    Raises:
        OptionError: One of them is empty.
    """

    authors: str | None = None
    copyright: str | None = None
    data_source: str | None = None
    license: str | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            text = getattr(self, field.name)
            if text is not None and not text.strip():
                raise OptionError(f"{field.name} is {text!r}; state it, or leave it out")

    def text(self, name: str) -> str:
        """What is stated under a name, or that it is not."""
        stated: str | None = getattr(self, name)
        return NOT_STATED if stated is None else stated.strip()

    @property
    def missing(self) -> list[str]:
        """Names of what is not stated."""
        return [field.name for field in fields(self) if getattr(self, field.name) is None]


UNKNOWN = Attribution()
