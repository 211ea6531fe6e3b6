"""Which patches of an epoch each process takes."""

from __future__ import annotations

import numpy as np
import pytest

from hnseg.training.shards import shard_indices


@pytest.mark.parametrize(("count", "batch", "world"), [(5, 1, 2), (8, 2, 2), (7, 3, 1), (1, 2, 4)])
def test_all_processes_together_see_what_one_would_see(count, batch, world):
    shares = [shard_indices(count, batch, rank, world) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    assert set(np.concatenate(shares)) == set(range(count))
    (alone,) = [shard_indices(count, batch * world, 0, 1)]
    steps = len(alone) // (batch * world)
    for step in range(steps):
        together = [p for share in shares for p in share[step * batch : (step + 1) * batch]]
        assert together == alone[step * batch * world : (step + 1) * batch * world]
