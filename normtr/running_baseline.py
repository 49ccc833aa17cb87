"""A running baseline takes off what a person's face and voice say beside what is expected of them.

Some faces at rest look sad, and some voices sound angry. After each estimate the mean is followed of
what the heads say minus what they say of a crowd, given the estimate's probabilities; that mean is
taken off the rows of the next windows. So a mood that lasts is not taken for the person, as far as
it is recognised. Nothing outlives the session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from normtr.cause import Cause
from normtr.checkpoint import Checkpoint
from normtr.crowd import Residual
from normtr.engine.weights import Weights
from normtr.modality import Modality
from normtr.spec import LABELS
from normtr.window import Row, Window

WEIGHT_S = 30.0
"""So many seconds count as if nothing were to be taken off."""
HALF_LIFE_S = 600.0
"""What is so old weighs half."""


class RunningBaseline:
    """Follows one person. One thread owns it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """A recognizer that knows no crowd leaves every window as it is."""
        self._step_s = checkpoint.spec.step_ms / 1000
        self._crowd = checkpoint.crowd
        heads = {Modality.FACE: checkpoint.face, Modality.VOICE: checkpoint.voice}
        self._heads = {m: _Head.of(heads[Modality(m)]) for m in self._crowd}
        self.forget()

    def forget(self) -> None:
        """Begin anew: with another person."""
        kept, weight = 0.5 ** (self._step_s / HALF_LIFE_S), WEIGHT_S / self._step_s
        self._residuals = {m: Residual(len(LABELS), weight, kept) for m in self._crowd}

    def __call__(self, window: Window) -> Window:
        """Return the window as it were of somebody in whom nothing is to be taken off."""
        rows = dict(window.rows)
        for m, head in self._heads.items():
            there = np.array([cause == Cause.NONE for cause in window.gaps[m]])
            if there.any():
                off = head.row(self._residuals[m].mean)
                rows[m] = np.where(there[:, None], window.rows[m] - off, window.rows[m])
                rows[m].flags.writeable = False
        return replace(window, rows=rows)

    def learn(self, window: Window, probabilities: Sequence[float]) -> None:
        """Note the last step of the window as it was seen, and what was said of the moved one.

        Steps must come in order, and each of them once.
        """
        for m, head in self._heads.items():
            if window.gaps[m][-1] == Cause.NONE:
                said = head.logits(window.rows[m][-1])
                self._residuals[m].add(said, self._crowd[m].of(probabilities))


@dataclass(frozen=True)
class _Head:
    """Reads centred logits from a row, and makes rows that say such logits."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    back: NDArray[np.float64]

    @staticmethod
    def of(network: Weights) -> _Head:
        weight = network["head.weight"].astype(np.float64)
        bias = network["head.bias"].astype(np.float64)
        centred = weight - weight.mean(0)
        return _Head(centred, bias - bias.mean(), np.linalg.pinv(centred))

    def logits(self, row: Row) -> NDArray[np.float64]:
        """Return the centred logits [C] of a row [dim]."""
        return np.asarray(self.weight @ row + self.bias)

    def row(self, logits: NDArray[np.float64]) -> Row:
        """Return the smallest change of a row [dim] that changes its logits by these [C]."""
        return np.asarray(self.back @ (logits - logits.mean()), np.float32)
