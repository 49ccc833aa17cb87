"""Central moment discrepancy (Zellinger et al., ICLR 2017): how far two modalities' features lie apart."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

MOMENTS = 5
LEAST = 1e-12
"""Added under the root, whose gradient at 0 is no number."""


def cmd(x: Tensor, y: Tensor) -> Tensor:
    """Of x, y [B, N] -> scalar: the distances of the means and of the central moments 2 to 5.

    Neither scaled nor weighted, as in IF-MMIN.
    """
    first, second = x.mean(0), y.mean(0)
    x, y = x - first, y - second
    total = _distance(first, second)
    for k in range(2, MOMENTS + 1):
        total = total + _distance((x**k).mean(0), (y**k).mean(0))
    return total


def mean_cmd(features: Tensor) -> Tensor:
    """[B, M, N] -> scalar: mean over the pairs of modalities."""
    pairs = list(combinations(features.unbind(1), 2))
    return torch.stack([cmd(x, y) for x, y in pairs]).mean()


def _distance(x: Tensor, y: Tensor) -> Tensor:
    return ((x - y).square().sum() + LEAST).sqrt()
