"""Computes how alike NRGFs and MFs are: cosines between the tokens of samples (NORM-TR, fig. 7)."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from normtr.model import Features

ACROSS, WITH_MF, APART = (
    "NRGFs of two modalities, same step",
    "NRGF and MF of one token",
    "NRGFs of two samples, same modality",
)
MOST = 5_000
"""At most this many pairs of each kind are kept."""


def cosines(found: Features, valid: Tensor, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Return the cosines of some pairs of each kind, float32 [pairs].

    `found` holds features [n, M, T, H], and `valid` is bool [n, M, T]; only valid steps count.
    `seed` chooses the pairs. The paper does not say which pairs it took.
    """
    n, modalities, _ = valid.shape
    nrgf, mf = found.nrgf, found.mf
    across = [
        F.cosine_similarity(nrgf[:, i][both], nrgf[:, j][both], dim=1)
        for i, j in combinations(range(modalities), 2)
        for both in [valid[:, i] & valid[:, j]]
    ]
    random = np.random.default_rng(seed)
    apart = []
    for i in range(modalities):
        tokens, sample = (
            nrgf[:, i][valid[:, i]],
            torch.arange(n).repeat_interleave(valid[:, i].sum(1)),
        )
        other = torch.from_numpy(random.permutation(len(tokens)))
        differ = sample != sample[other]
        apart.append(F.cosine_similarity(tokens[differ], tokens[other][differ], dim=1))
    pairs = {
        ACROSS: across,
        WITH_MF: [F.cosine_similarity(nrgf[valid], mf[valid], dim=1)],
        APART: apart,
    }
    out = {}
    for kind, parts in pairs.items():
        values = torch.cat(parts).numpy() if parts else np.zeros(0, np.float32)
        if len(values):
            out[kind] = random.permutation(values)[:MOST]
    return out
