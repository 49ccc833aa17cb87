"""Differences between two systems on the same samples, with intervals over whole groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

DRAWS = 10_000
LEVEL = 0.95
"""The confidence level of the intervals."""
BATCH = 500
"""The number of draws that are in memory together."""


@dataclass(frozen=True)
class Difference:
    """The mean of one system minus that of the other, and its interval [low, high].

    The interval and p are NaN if there is only one group.
    """

    mean: float
    low: float
    high: float
    p: float
    """Two-sided; it counts how many draws lie on either side of 0."""

    @property
    def shown(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def difference(
    own: NDArray[np.floating[Any]],
    other: NDArray[np.floating[Any]],
    groups: Sequence[str],
    seed: int = 0,
) -> Difference:
    """Return the difference of two systems' means, given a figure for each sample, [n] each.

    `groups` [n] names the video or speaker of each sample. The interval is a paired percentile
    bootstrap (Efron & Tibshirani 1993, ch. 13): a draw takes as many groups as there are, with
    replacement, the same for both systems, and all their samples. There is no interval if there is
    only one group.
    """
    _, of = np.unique(np.asarray(groups), return_inverse=True)
    apart = np.asarray(own, np.float64) - np.asarray(other, np.float64)
    sums, sizes = np.bincount(of, apart), np.bincount(of).astype(np.float64)
    mean = float(sums.sum() / sizes.sum())
    if len(sums) < 2:
        return Difference(mean, *[float("nan")] * 3)
    drawn = bootstrap(
        (sums, sizes),
        lambda s, n, axis: s.sum(axis) / n.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=DRAWS,
        batch=BATCH,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = drawn.confidence_interval
    beyond = min(
        (drawn.bootstrap_distribution <= 0).sum(), (drawn.bootstrap_distribution >= 0).sum()
    )
    # All draws may agree if there are few groups, but k groups have the same sign by chance with
    # probability 2 ** (1 - k).
    p = max(2 * (float(beyond) + 1) / (DRAWS + 1), 2.0 ** (1 - len(sums)))
    return Difference(mean, float(low), float(high), min(p, 1.0))
