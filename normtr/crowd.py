"""What the face and voice of many people say on average: the middle that a person is moved to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating]


@dataclass(frozen=True)
class Spread:
    """Mean and deviation of centred logits, [C] each, in the order of the labels."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def fits(self, labels: int) -> bool:
        """Return whether these are finite numbers for so many labels, and no deviation is 0."""
        return (
            len(self.mean) == len(self.deviation) == labels
            and all(math.isfinite(x) and abs(x) <= 1e3 for x in self.mean)
            and all(1e-3 <= x <= 1e3 for x in self.deviation)
        )

    @property
    def moments(self) -> NDArray[np.float64]:
        """The means of the logits and of their squares, [2, C]."""
        mean = np.array(self.mean)
        return np.stack([mean, np.array(self.deviation) ** 2 + mean**2])

    @staticmethod
    def of_moments(moments: NDArray[np.float64]) -> Spread:
        """Return the spread with these `moments`, or a mean of those of several spreads."""
        mean, square = moments
        deviation = np.sqrt(np.maximum(square - mean**2, 1e-6))
        return Spread(tuple(mean.tolist()), tuple(deviation.tolist()))


Crowd = Mapping[str, Spread]
"""The spread of each modality that has a baseline."""


def moved(logits: Logits, of: Spread, to: Spread) -> Logits:
    """Return logits [..., C] of one who has the spread `of`, as if they had the spread `to`."""
    mean, deviation = np.array(of.mean), np.array(of.deviation)
    return np.asarray((logits - mean) / deviation * np.array(to.deviation) + np.array(to.mean))


class Spreading:
    """Follows the spread of logits [C], which is drawn to a crowd's by the weight of some steps."""

    def __init__(self, crowd: Spread, weight: float, kept: float = 1.0) -> None:
        """The crowd weighs as much as `weight` steps. With each step the earlier ones lose weight:
        they keep the share `kept`."""
        self._kept = kept
        self._steps, self._sums = 0.0, np.zeros((2, len(crowd.mean)))
        self._crowd, self._weight = crowd.moments, weight

    def add(self, logits: Logits) -> None:
        """Take the logits [C] of one step in."""
        self._steps = self._steps * self._kept + 1
        self._sums = self._sums * self._kept + np.stack([logits, logits**2])

    @property
    def spread(self) -> Spread:
        """The spread so far, and the crowd's at first."""
        both = self._sums + self._weight * self._crowd
        return Spread.of_moments(both / (self._steps + self._weight))
