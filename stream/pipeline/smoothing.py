"""Adds a calmer label to the raw one: it is averaged over time and changes reluctantly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normtr.checkpoint import Checkpoint
from normtr.predictor import Prediction
from normtr.window import Window

LEAD = 0.15
"""Another label takes over when its averaged probability is higher by this much."""


@dataclass(frozen=True)
class Smoothed:
    """The label that is shown in place of a raw one that would flicker."""

    top: str
    confidence: float
    """The averaged probability of `top`."""
    abstained: bool
    """Whether the confidence is under the checkpoint's threshold."""


class Smoother:
    """Averages the probabilities exponentially over ticks whose window holds a valid step.

    A window without valid steps ends the average; the next one begins anew.
    """

    def __init__(self, seconds: float, checkpoint: Checkpoint) -> None:
        """`seconds` is the time constant of the average."""
        self._seconds = seconds
        self._labels = checkpoint.labels
        self._threshold = checkpoint.calibration.threshold
        self._mean: NDArray[np.float64] | None = None
        self._top = 0
        self._end_ns = 0

    def __call__(self, window: Window, prediction: Prediction) -> Smoothed | None:
        """Take a window in and return the label; None if the window holds no valid step."""
        if not any(window.share.values()):
            self._mean = None
            return None
        new = np.array(prediction.probabilities)
        if self._mean is None:
            self._mean, self._top = new, int(new.argmax())
        else:
            since_s = (window.end_ns - self._end_ns) / 1e9
            self._mean = new + (self._mean - new) * math.exp(-since_s / self._seconds)
        self._end_ns = window.end_ns
        best = int(self._mean.argmax())
        if self._mean[best] > self._mean[self._top] + LEAD:
            self._top = best
        confidence = float(self._mean[self._top])
        return Smoothed(self._labels[self._top], confidence, confidence < self._threshold)
