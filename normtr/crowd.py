"""What the face and voice of many people say of each emotion: what one expects of somebody new."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating]


@dataclass(frozen=True)
class Expected:
    """The mean centred logits [C] of people who express each label, [C, C], labels in order."""

    mean: tuple[tuple[float, ...], ...]

    def fits(self, labels: int) -> bool:
        """Return whether these are finite numbers for so many labels."""
        return len(self.mean) == labels and all(
            len(row) == labels and all(math.isfinite(x) and abs(x) <= 1e3 for x in row)
            for row in self.mean
        )

    def of(self, probabilities: Sequence[float]) -> NDArray[np.float64]:
        """Return the logits [C] that one expects where the labels have these probabilities [C]."""
        return np.asarray(np.array(probabilities) @ np.array(self.mean))


Crowd = Mapping[str, Expected]
"""What is expected of each modality that has a baseline."""


class Residual:
    """The mean of what somebody says beside what is expected; nothing at first, and by and by all."""

    def __init__(self, labels: int, weight: float, kept: float = 1.0) -> None:
        """As much as `weight` steps say that there is nothing. With each step the earlier ones
        lose weight: they keep the share `kept`."""
        self._weight, self._kept = weight, kept
        self._steps, self._sum = 0.0, np.zeros(labels)

    def add(self, logits: Logits, expected: Logits) -> None:
        """Take in the logits [C] of one step, and those that were expected."""
        self._steps = self._steps * self._kept + 1
        self._sum = self._sum * self._kept + (logits - expected)

    @property
    def mean(self) -> NDArray[np.float64]:
        """What is to be taken off, [C]."""
        return np.asarray(self._sum / (self._steps + self._weight))
