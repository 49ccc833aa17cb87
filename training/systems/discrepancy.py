"""Central moment discrepancy (Zellinger et al., ICLR 2017): how much two distributions differ."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

MOMENTS = 5
"""The highest central moment that is compared."""
LEAST = 1e-12
"""Added under the square root, because its gradient at 0 would be NaN."""


def cmd(x: Tensor, y: Tensor) -> Tensor:
    """Return the distance of x and y [B, N] in means and central moments 2 to 5, summed (scalar).

    The moments are neither scaled nor weighted, as in IF-MMIN's code.
    """
    first, second = x.mean(0), y.mean(0)
    x, y = x - first, y - second
    total = _distance(first, second)
    for k in range(2, MOMENTS + 1):
        total = total + _distance((x**k).mean(0), (y**k).mean(0))
    return total


def mean_cmd(features: Tensor) -> Tensor:
    """Return the mean discrepancy (scalar) over the pairs of modalities in features [B, M, N]."""
    pairs = list(combinations(features.unbind(1), 2))
    return torch.stack([cmd(x, y) for x, y in pairs]).mean()


def _distance(x: Tensor, y: Tensor) -> Tensor:
    return ((x - y).square().sum() + LEAST).sqrt()
