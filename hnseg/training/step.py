"""One step of the optimizer."""

from __future__ import annotations

import torch

from hnseg.errors import HnsegError
from hnseg.models.memory import is_out_of_memory
from hnseg.training.augmentation import Augmentation
from hnseg.training.state import TrainingState


def train_step(state: TrainingState, batch: dict[str, torch.Tensor], learning_rate: float) -> torch.Tensor:
    """Take one step; returns the loss without waiting for it.

    Args:
        state: The training.
        batch: ``image`` (batch, 2, z, y, x), ``label`` (batch, 1, z, y, x) and ``seed`` (batch,), as
            :class:`hnseg.training.dataset.PatchDataset` makes them.
        learning_rate: Learning rate.

    Raises:
        HnsegError: Memory ran out.
    """
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate
    try:
        image = batch["image"].to(state.fabric.device, non_blocking=True)
        label = batch["label"].to(state.fabric.device, non_blocking=True)
        if state.augment is not None:
            image, label = _augment_batch(state.augment, image, label, batch["seed"])
        heads = state.network(image.contiguous(memory_format=torch.channels_last_3d))
        loss = state.criterion(heads, label)
        state.fabric.backward(loss)
        state.fabric.clip_gradients(
            state.network, state.optimizer, max_norm=state.config.train.clip_norm, error_if_nonfinite=False
        )
        state.optimizer.step()
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise HnsegError(_advice(state)) from error
        raise
    state.optimizer.zero_grad(set_to_none=True)
    if state.average is not None:
        state.average.update_parameters(state.raw)
    detached: torch.Tensor = loss.detach()
    return detached


def _augment_batch(
    augment: Augmentation, image: torch.Tensor, label: torch.Tensor, seeds: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The batch after its random changes, made on its device."""
    changed = [
        augment({"image": one, "label": truth}, int(seed)) for one, truth, seed in zip(image, label, seeds, strict=True)
    ]
    return torch.stack([sample["image"] for sample in changed]), torch.stack([sample["label"] for sample in changed])


def _advice(state: TrainingState) -> str:
    train = state.config.train
    return (
        f"fold {state.fold}: out of memory on {state.fabric.device} with patches of {train.patch_vox}, "
        f"batch size {train.batch_size}, {train.filters} filters, precision {train.precision}; the last checkpoint is "
        "kept: lower train.patch_vox, train.batch_size or train.filters, or use bf16 (`hnseg plan` says what fits)"
    )
