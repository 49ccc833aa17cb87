"""Deals samples into two folds for cross-fitting: no network reads samples it was fitted on.

A network is too sure of the samples that it was fitted on, and a fusion that is trained on its
answers to them would trust it too much. So a part is fitted three times: on everything for use, and
without each fold for the fusion's training windows (cross-fitting: Chernozhukov et al.,
Econometrics Journal 21, 2018; stacking: Wolpert, Neural Networks 5, 1992).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

FOLDS = (0, 1)


def folds(groups: list[str]) -> NDArray[np.int64]:
    """Return the fold of each sample, int64 [n], by a hash of its picture, speaker or dialogue.

    `groups` names these; the hash is BLAKE2b.
    """
    hashes = [hashlib.blake2b(g.encode(), digest_size=4).digest() for g in groups]
    return np.array([int.from_bytes(h, "little") % len(FOLDS) for h in hashes], np.int64)


def dealt(groups: set[str]) -> dict[str, int]:
    """Return the fold of each of a few groups: they are dealt evenly, in the order of their sha256."""
    order = sorted(groups, key=lambda group: hashlib.sha256(group.encode()).digest())
    return {group: place % len(FOLDS) for place, group in enumerate(order)}
