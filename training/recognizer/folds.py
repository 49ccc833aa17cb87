"""Two folds for cross-fitting: what judges a sample was not fitted on it.

A network trusts the samples that it was fitted on too much; a fusion trained on what it says
of them would too. So a part is fitted three times: for use, on everything, and for the fusion's
training windows without each fold (cross-fitting: Chernozhukov et al., Econometrics Journal 21,
2018; for stacking: Wolpert, Neural Networks 5, 1992).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

FOLDS = (0, 1)


def folds(groups: list[str]) -> NDArray[np.int64]:
    """The fold of each sample, by the BLAKE2b hash of its picture, speaker or dialogue."""
    hashes = [hashlib.blake2b(g.encode(), digest_size=4).digest() for g in groups]
    return np.array([int.from_bytes(h, "little") % len(FOLDS) for h in hashes], np.int64)
