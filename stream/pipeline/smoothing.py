"""Estimates -> a calmer label, beside the raw one: averaged over time, with hysteresis."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normtr.checkpoint import Checkpoint
from normtr.predictor import Prediction
from normtr.window import Window

LEAD = 0.15
"""Another label takes over when its averaged probability is so much higher."""


@dataclass(frozen=True)
class Smoothed:
    """What is shown where the raw label would flicker."""

    top: str
    confidence: float
    """The averaged probability of `top`."""
    abstained: bool
    """It is under the checkpoint's threshold."""


class Smoother:
    """Exponential average of the probabilities, over ticks whose window holds anything valid.

    A window without anything valid ends it: the next one begins anew.
    """

    def __init__(self, seconds: float, checkpoint: Checkpoint) -> None:
        """`seconds`: the time constant."""
        self._seconds = seconds
        self._labels = checkpoint.labels
        self._threshold = checkpoint.calibration.threshold
        self._mean: NDArray[np.float64] | None = None
        self._top = 0
        self._end_ns = 0

    def __call__(self, window: Window, prediction: Prediction) -> Smoothed | None:
        """None where the window holds nothing valid."""
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
