"""Intensity transforms whose entry in a subject's history holds what undoes them."""

from __future__ import annotations

import reprlib
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
import torchio as tio
from torchio.transforms.intensity_transform import IntensityTransform

from ssimh.torchio._image import included_images, naming

RecordT = TypeVar("RecordT")
_PENDING = "_ssimh_record"
_SHORT = reprlib.Repr()
_SHORT.maxother, _SHORT.maxstring = 60, 80


@dataclass(frozen=True)
class Record(Generic[RecordT]):
    """What one application did.

    Args:
        images: what undoes it, by the name of the image.
        is_inverse: whether the application itself was one that undid another.
    """

    images: Mapping[str, RecordT]
    is_inverse: bool = False


class RecordedTransform(IntensityTransform, Generic[RecordT]):
    """Transform that writes its record into the history, with the arguments that reproduce it.

    The record is the argument ``record`` of the transforms that ``Subject.history`` returns. Replaying a history
    computes from the images, without it; the inverse needs nothing else. A transform that was not taken from a history
    has no record and cannot be inverted.

    Args:
        record: from the history; None for a new transform.
        kwargs: of ``torchio.transforms.Transform``, such as ``p``, ``copy``, ``include``, ``exclude`` and ``keep``.
    """

    def __init__(self, record: Record[RecordT] | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.record = record
        self.invert_transform = record is not None and record.is_inverse

    @abstractmethod
    def _apply(self, image: tio.ScalarImage, subject: tio.Subject) -> tuple[torch.Tensor, RecordT]:
        """New values of an image, in memory of their own, and what undoes the change."""

    @abstractmethod
    def _undo(self, values: torch.Tensor, record: RecordT) -> torch.Tensor:
        """The values as they were before, in memory of their own."""

    def apply_transform(self, subject: tio.Subject) -> tio.Subject:
        """The subject with changed images; called by ``__call__``, which copies the subject first."""
        if self.invert_transform:
            record = self._invert(subject)
        else:
            changes: dict[str, RecordT] = {}
            for name, image in included_images(subject, self).items():
                with naming(name):
                    values, changes[name] = self._apply(image, subject)
                image.set_data(values)
            record = Record(changes)
        if self.parse_input:  # then the history is written next, see below
            subject.__dict__[_PENDING] = record
        return subject

    def _invert(self, subject: tio.Subject) -> Record[RecordT]:
        if self.record is None:
            raise RuntimeError(
                f"{self.name} has no record of what it changed. The inverse is that of an application: use "
                "subject.apply_inverse_transform(), or an element of subject.history."
            )
        images = self.get_images_dict(subject)
        for name, change in self.record.images.items():
            if name in images:  # one that has been removed meanwhile needs no inverse
                with naming(name):
                    images[name].set_data(self._undo(images[name].data, change))
        return Record(self.record.images, is_inverse=True)

    def _add_transform_to_subject_history(self, subject: tio.Subject) -> None:
        """Called by TorchIO after the application, and to rebuild a subject out of a batch with its history."""
        record = subject.__dict__.pop(_PENDING, self.record)
        subject.add_transform(self, {**self._get_reproducing_arguments(), "record": record})

    def __repr__(self) -> str:
        arguments = [f"{name}={_SHORT.repr(value)}" for name, value in self._get_named_arguments().items()]
        inverse = ["invert=True"] if self.invert_transform else []
        return f"{self.name}({', '.join(arguments + inverse)})"


def check_shape(values: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Refuse to undo a change of an image that has another shape by now.

    Raises:
        ValueError: the shapes differ.
    """
    if tuple(values.shape) != shape:
        raise ValueError(
            f"its shape is {tuple(values.shape)}, it was {shape} when it was changed; what came between must be undone "
            "first. Transforms that TorchIO cannot invert, such as Resample, belong before this one."
        )
