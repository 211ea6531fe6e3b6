"""The two sides that all transforms share: undoing in the array form, and the dictionary form as a whole."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform, MapTransform, Randomizable
from monai.utils import TraceKeys

from ssimh.transforms import _adapter


@dataclass(frozen=True)
class FromSample:
    """Stands for an input that travels with the sample, in the dictionary form of a transform.

    Args:
        key: where the sample holds it.

    >>> FromSample("template")
    FromSample(key='template')
    """

    key: str


class InvertibleArrayTransform(InvertibleTransform):
    """Array form whose record in the applied operations is enough to undo it."""

    @abstractmethod
    def _undo(self, values: torch.Tensor, record: Mapping[str, Any]) -> torch.Tensor:
        """The plain tensor as it was before, from what ``push_transform`` recorded."""

    def inverse(self, data: torch.Tensor) -> torch.Tensor:
        """Image as it was before the transform, where nothing was clipped.

        Args:
            data: (C, spatial…) MetaTensor that the transform, or others after it and their inverses, have returned.

        Raises:
            TypeError: a tensor without metadata, which carries no record.
            ValueError: the last operation in the record is not this transform's.
        """
        if not isinstance(data, MetaTensor):
            raise TypeError(f"inverse needs the MetaTensor that carries the record; given {type(data).__name__}.")
        # Same values, own list of applied operations: taking a record off it leaves the caller's data as it is.
        copy = _adapter.wrap(_adapter.plain(data), data)
        record = self.pop_transform(copy)
        if not record[TraceKeys.DO_TRANSFORM]:
            return copy
        return _adapter.wrap(self._undo(_adapter.plain(copy), record[TraceKeys.EXTRA_INFO]), copy)


class DictionaryForm(MapTransform):
    """Dictionary form of an array transform: its settings, applied to the images under every key.

    A subclass names its array form, ``class SpectrumSwapd(DictionaryForm, array=SpectrumSwap)``, and takes over its
    signature: ``keys`` first, then the array form's arguments, then ``allow_missing_keys``. What the array form takes
    with a call may travel with the sample: give :class:`FromSample` in its place.
    """

    array: ClassVar[type]
    _inputs: ClassVar[frozenset[str]]

    def __init_subclass__(cls, array: type | None = None, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if array is None:
            return
        cls.array, cls.backend = array, array.backend  # type: ignore[attr-defined]
        own = inspect.signature(DictionaryForm.__init__).parameters
        theirs = list(inspect.signature(array.__init__).parameters.values())[1:]  # type: ignore[misc]
        parameters = [own["self"], own["keys"], *theirs, own["allow_missing_keys"]]

        def __init__(self: DictionaryForm, *args: Any, **kwargs: Any) -> None:
            DictionaryForm.__init__(self, *args, **kwargs)

        __init__.__doc__ = array.__init__.__doc__  # type: ignore[misc]
        __init__.__signature__ = inspect.Signature(parameters, return_annotation=None)  # type: ignore[attr-defined]
        cls.__init__ = __init__  # type: ignore[method-assign]
        cls._inputs = frozenset(inspect.signature(array).parameters) & frozenset(
            inspect.signature(array.__call__).parameters
        )

    def __init__(self, keys: KeysCollection, *inputs: Any, allow_missing_keys: bool = False, **settings: Any) -> None:
        super().__init__(keys, allow_missing_keys)
        bound = inspect.signature(self.array).bind(*inputs, **settings)
        self.from_sample = {name: value.key for name, value in bound.arguments.items() if isinstance(value, FromSample)}
        for name in self.from_sample:
            if name not in self._inputs:
                raise TypeError(
                    f"{name} cannot travel with the sample; FromSample may stand for {', '.join(sorted(self._inputs))}."
                )
            bound.arguments[name] = None
        self.transform = self.array(*bound.args, **bound.kwargs)

    def _call_arguments(self, sample: Mapping[Hashable, Any]) -> dict[str, Any]:
        """What the array form is called with, apart from the image."""
        for name, key in self.from_sample.items():
            if key not in sample:
                raise KeyError(f"{name}=FromSample({key!r}): the sample has the keys {list(sample)}.")
        return {name: sample[key] for name, key in self.from_sample.items()}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new dictionary; the images under ``keys`` are transformed, everything else is the same.

        Raises:
            KeyError: the sample lacks one of ``keys`` (without ``allow_missing_keys``) or of the inputs' keys.
        """
        result = dict(data)
        arguments = self._call_arguments(result)
        for key in self.key_iterator(result):
            result[key] = self.transform(result[key], **arguments)
        return result


class RandomDictionaryForm(Randomizable):
    """What a dictionary form adds to :class:`DictionaryForm` where its array form is random: one draw for all keys."""

    transform: Any

    def set_random_state(self, seed: int | None = None, state: np.random.RandomState | None = None) -> Self:
        """Hand the state on to the array transform, which makes all draws."""
        super().set_random_state(seed, state)
        self.transform.set_random_state(seed, state)
        return self

    def randomize(self, data: Any = None) -> None:
        """Draw once for all keys."""
        self.transform.randomize(data)

    def _call_arguments(self, sample: Mapping[Hashable, Any]) -> dict[str, Any]:
        self.randomize()
        return {"randomize": False, **super()._call_arguments(sample)}


class InvertibleDictionaryForm(DictionaryForm, InvertibleTransform):
    """Dictionary form of an array transform that can be undone."""

    def inverse(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A new dictionary with the images under ``keys`` as they were before the transform."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.transform.inverse(result[key])
        return result
