"""Components and lesion matching by brute force, written for clarity."""

from __future__ import annotations

import itertools
from collections import deque

import numpy as np


def flood_components(mask, connectivity):
    reach = {6: 1, 18: 2, 26: 3}[connectivity]
    steps = [d for d in itertools.product((-1, 0, 1), repeat=3) if 0 < sum(map(abs, d)) <= reach]
    left = {tuple(v) for v in np.argwhere(mask)}
    found = []
    for start in sorted(left):
        if start not in left:
            continue
        left.remove(start)
        group, queue = {start}, deque([start])
        while queue:
            voxel = queue.popleft()
            for step in steps:
                other = tuple(a + b for a, b in zip(voxel, step, strict=True))
                if other in left:
                    left.remove(other)
                    group.add(other)
                    queue.append(other)
        found.append(frozenset(group))
    return found


def brute_match(pred, truth, connectivity, matching, threshold, strict):
    truths, preds = flood_components(truth, connectivity), flood_components(pred, connectivity)
    good = (lambda v: v > threshold) if strict else (lambda v: v >= threshold)
    iou = {(i, j): len(t & p) / len(t | p) for i, t in enumerate(truths) for j, p in enumerate(preds) if t & p}
    pairs = {k: v for k, v in iou.items() if good(v)}
    if matching == "grouped":
        return brute_groups(truths, preds, iou, good)
    if matching == "greedy":
        chosen = []
        while pairs:
            i, j = min(pairs, key=lambda k: (-pairs[k], k))
            chosen.append((i, j))
            pairs = {k: v for k, v in pairs.items() if k[0] != i and k[1] != j}
        tp = len(chosen)
    else:
        tp = best_assignment(sorted(pairs.items()))[1]
    return tp, len(preds) - tp, len(truths) - tp


def best_assignment(pairs):
    """Largest (sum of IoU, number of pairs) over every one-to-one choice; sums are compared to 1e-12."""
    if not pairs:
        return 0.0, 0
    ((i, j), value), rest = pairs[0], pairs[1:]
    without = best_assignment(rest)
    total, count = best_assignment([pair for pair in rest if pair[0][0] != i and pair[0][1] != j])
    return max(without, (total + value, count + 1), key=lambda r: (round(r[0], 12), r[1]))


def brute_groups(truths, preds, iou, good):
    nodes = [("t", i) for i in range(len(truths))] + [("p", j) for j in range(len(preds))]
    links = {(("t", i), ("p", j)) for i, j in iou}
    groups = []
    for node in nodes:
        touching = [g for g in groups if any((node, o) in links or (o, node) in links for o in g)]
        groups = [g for g in groups if g not in touching] + [{node}.union(*touching)]
    tp = fp = fn = 0
    for group in groups:
        t = set().union(*[truths[i] for side, i in group if side == "t"])
        p = set().union(*[preds[j] for side, j in group if side == "p"])
        if t and p:
            hit = good(len(t & p) / len(t | p))
            tp, fp, fn = tp + hit, fp + (not hit), fn + (not hit)
        else:
            fn, fp = fn + bool(t), fp + bool(p)
    return tp, fp, fn


def random_pair(rng):
    """Sparse masks whose components partly agree, so that pairs fall on both sides of the threshold."""
    shape = tuple(rng.integers(3, 7, 3))
    truth = rng.random(shape) < rng.choice([0.0, 0.1, 0.2, 0.3], p=[0.05, 0.35, 0.35, 0.25])
    flips = rng.random(shape) < rng.choice([0.05, 0.1, 0.3])
    pred = (truth ^ flips) if rng.random() < 0.95 else np.zeros(shape, bool)
    return pred, truth


def row(*runs, n=20):
    """A mask of one row that is set in ``runs``."""
    mask = np.zeros((1, 1, n), bool)
    for start, stop in runs:
        mask[..., start:stop] = True
    return mask
