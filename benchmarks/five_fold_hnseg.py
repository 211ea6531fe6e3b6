"""hnseg's part of ``five_fold.py``: train one fold on one thread and say what it took.

python five_fold_hnseg.py WORK FOLD RECORD.json
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from hnseg.models.checkpoint import load_checkpoint
from hnseg.training.loop import train_fold
from hnseg.workdir import load_config, write_json

if __name__ == "__main__":
    started = time.perf_counter()
    torch.set_num_threads(1)
    work, fold = Path(sys.argv[1]), int(sys.argv[2])
    best = train_fold(work, fold, device="cpu")
    taken = {"wall_s": round(time.perf_counter() - started, 1), "cpu_s": round(time.process_time(), 1)}
    checkpoint = load_checkpoint(best)
    rows, config = checkpoint["history"], load_config(work).train
    facts = {
        "epochs": len(rows),
        "batch": config.batch_size,
        "parameters": sum(value.numel() for value in checkpoint["network"].values()),
        "loss_first": rows[0]["loss"],
        "loss_last": rows[-1]["loss"],
    }
    write_json(Path(sys.argv[3]), {**taken, **facts})
