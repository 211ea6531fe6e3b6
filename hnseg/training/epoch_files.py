"""Files written after each epoch: checkpoints, log and pictures."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from hnseg.errors import HnsegError
from hnseg.models.checkpoint import save_checkpoint
from hnseg.models.model_origin import ModelOrigin
from hnseg.training.figures import ValidationPicture, draw_curves
from hnseg.training.log import History, as_csv
from hnseg.training.state import TrainingState
from hnseg.workdir import write_text


def save_epoch(
    state: TrainingState, folder: Path, history: History, origin: ModelOrigin, picture: ValidationPicture | None
) -> None:
    """Write checkpoints, log and pictures of an epoch; ``last.pt`` comes last, so that a kill repeats the epoch.

    ``best.pt`` is written when the last epoch of the history is the one to keep.

    Args:
        state: Of the fold, after the epoch.
        folder: Of the fold's files.
        history: All epochs so far.
        origin: Of the weights.
        picture: Of the last validation; None: no pictures are drawn.

    Raises:
        HnsegError: A file cannot be written; the last checkpoint stays.
    """
    facts = {"history": [asdict(row) for row in history], "origin": origin.model_dump(mode="json")}
    tensors = {
        "weights": state.raw.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "average": None if state.average is None else state.average.state_dict(),
        "precision": state.fabric.strategy.precision.state_dict(),
    }
    title = f"fold {state.fold}, epoch {len(history)}"
    try:
        if history[-1].kept_epoch == history[-1].epoch:
            save_checkpoint(folder / "best.pt", {"network": state.eval_network.state_dict(), **facts})
        write_text(folder / "log.csv", as_csv(history))
        if picture is not None:
            draw_curves(folder / "curves.png", history, f"fold {state.fold}")
            picture.draw(folder / "validation.png", f"fold {state.fold}")
        save_checkpoint(folder / "last.pt", {**tensors, **facts})
    except (OSError, RuntimeError) as error:
        raise HnsegError(f"{title}: {folder} cannot be written ({error}); the last whole epoch is kept") from error
