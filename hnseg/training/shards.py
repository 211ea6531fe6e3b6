"""Distribution of the patches of an epoch over training processes."""

from __future__ import annotations


def shard_indices(count: int, batch_size: int, rank: int, world_size: int) -> list[int]:
    """Positions of an epoch that one of several processes trains on, in its order.

    Step by step, the processes together see the batches that one process with a batch size of
    ``batch_size * world_size`` would see. The last step is filled up from the beginning, so that all processes take
    equally many.

    >>> shard_indices(5, 1, 0, 2), shard_indices(5, 1, 1, 2)
    ([0, 2, 4], [1, 3, 0])
    """
    step = batch_size * world_size
    return [
        (first + rank * batch_size + place) % count for first in range(0, count, step) for place in range(batch_size)
    ]
