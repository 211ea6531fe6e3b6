"""A device that is no CPU, for machines without a GPU: it computes on the CPU and mixes with it no more than CUDA does.

:func:`install` registers ``fakegpu`` as torch's private backend, for the whole process and for good: call it in a
process of its own, before anything of hnseg is imported. Tensors on the device wrap a tensor of the CPU; an operation
that gets tensors of both raises, as on a GPU, unless it is a copy, an index, or the tensor of the CPU is a single
number. ``WAITS`` collects what a GPU would have to be waited for: results that the host reads, and copies to the device
that are not asked to be ``non_blocking``. ``READ`` holds how many numbers each copy to the host had.

What it cannot do: mixed precision, ``torch.inference_mode`` (replaced by ``no_grad``), MONAI's MetaTensor (switched
off), data pointers.
"""

from __future__ import annotations

from typing import Any

import monai.data
import torch
from lightning_fabric import Fabric
from lightning_fabric.accelerators import CPUAccelerator
from lightning_fabric.strategies import SingleDeviceStrategy
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

NAME = "fakegpu"
WAITS: list[str] = []
READ: list[int] = []
aten = torch.ops.aten
COPIES = {aten.copy_.default, aten._to_copy.default}
MIXED = COPIES | {aten.index.Tensor, aten.index_put_.default}
MADE_FROM_NUMBERS = (torch.tensor, torch.as_tensor, torch.asarray)


def install() -> torch.device:
    """Make the device known to torch; returns it."""
    from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

    class Backend(_DummyBackendModule):
        """Also asked before mixed precision is switched off."""

        def get_amp_supported_dtype(self) -> list[torch.dtype]:
            return [torch.float16, torch.bfloat16]

    _setup_privateuseone_for_python_backend(NAME, backend_module=Backend())
    torch.__future__.set_swap_module_params_on_conversion(True)
    torch.inference_mode = torch.no_grad  # before anything is decorated with it
    monai.data.set_track_meta(False)
    return _device()


def _device() -> torch.device:
    return torch.device(NAME, 0)


class OnDevice(torch.Tensor):
    """A tensor on the device; saved and loaded, it is on the CPU, as checkpoints are read."""

    raw: torch.Tensor

    @staticmethod
    def __new__(cls, raw: torch.Tensor) -> OnDevice:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            raw.size(),
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=_device(),
        )
        made.raw = raw
        return made

    def __repr__(self) -> str:
        return f"OnDevice({self.raw})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.raw.__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _call(func, args, kwargs or {})


def _is_fake(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


def _call(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    flat, spec = tree_flatten((args, kwargs))
    there = [value for value in flat if isinstance(value, OnDevice)]
    here = [value for value in flat if isinstance(value, torch.Tensor) and not isinstance(value, OnDevice)]
    if there and func not in MIXED and any(value.dim() for value in here):
        raise RuntimeError(f"{func}: expected all tensors on {_device()}, found some on the CPU")
    if func is aten.copy_.default:
        stays = isinstance(args[0], OnDevice)
    else:
        stays = _is_fake(kwargs["device"]) if kwargs.get("device") is not None else bool(there)
    if func in COPIES and here and stays:
        waits = not (kwargs.get("non_blocking") or (func is aten.copy_.default and len(args) > 2 and args[2]))
    else:
        waits = bool(there) and (not stays or func is aten._local_scalar_dense.default)
    if waits:
        WAITS.append(str(func))
    if there and not stays:
        READ.append(max(value.numel() for value in there))

    def bare(value: Any) -> Any:
        if isinstance(value, OnDevice):
            return value.raw
        return torch.device("cpu") if isinstance(value, torch.device) and value.type == NAME else value

    bare_args, bare_kwargs = tree_unflatten([bare(value) for value in flat], spec)
    result = func(*bare_args, **bare_kwargs)
    known = {id(value.raw): value for value in there}

    def wrapped(value: Any) -> Any:
        if not (stays and isinstance(value, torch.Tensor)):
            return value
        return known[id(value)] if id(value) in known else OnDevice(value.resolve_conj().resolve_neg())

    return tree_map(wrapped, result)


class _Operations(TorchDispatchMode):
    """Sends operations to the device that have no tensor on it yet: factories and copies."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        flat, _ = tree_flatten((args, kwargs or {}))
        if any(isinstance(v, OnDevice) or (isinstance(v, torch.device) and _is_fake(v)) for v in flat):
            return _call(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


class _Functions(TorchFunctionMode):
    """What torch does in C++ without a dispatch: tensors made of numbers, and lists as indices."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in MADE_FROM_NUMBERS and _is_fake(kwargs.get("device")):
            del kwargs["device"]
            return func(*args, **kwargs).to(_device())
        if func is torch.Tensor.__getitem__:
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            args = (args[0], tuple(torch.tensor(i) if isinstance(i, list) else i for i in index))
        return func(*args, **kwargs)


class _Accelerator(CPUAccelerator):
    def setup_device(self, device: torch.device) -> None:
        """There is nothing to set up."""


def open_fake(device: str = "auto", precision: str = "auto") -> Fabric:
    """In place of :func:`hnseg.models.device.open_device`."""
    return Fabric(strategy=SingleDeviceStrategy(device=_device(), accelerator=_Accelerator()), precision="32-true")


class FakeGpu:
    """Context in which the device works."""

    def __enter__(self) -> None:
        self._modes = (_Functions(), _Operations())
        for mode in self._modes:
            mode.__enter__()

    def __exit__(self, *error: object) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(*error)
