"""A running baseline moves what a person's face and voice say onto what those of a crowd say.

Some faces at rest look sad, and some voices sound angry. The mean and deviation of a person's
logits over the last minutes are drawn to those of the crowd, and then replaced by these (as
cepstral features in speech recognition: Viikki and Laurila, Speech Communication 25, 1998). Nothing
outlives the session.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from normtr.cause import Cause
from normtr.checkpoint import Checkpoint
from normtr.crowd import Spread, Spreading, moved
from normtr.engine.weights import Weights
from normtr.modality import Modality
from normtr.window import Row, Window

WEIGHT_S = 30.0
"""The crowd weighs as much as so many seconds of the person. With 16 a mood that lasts for minutes
is taken for the person; with 60 less is gained where moods change (true pairs, 1 December 2026)."""
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
        self._seen = {m: Spreading(crowd, weight, kept) for m, crowd in self._crowd.items()}

    def __call__(self, window: Window) -> Window:
        """Note the last step of the window, and return the window of an average person.

        Steps must come in order, and each of them once.
        """
        rows = dict(window.rows)
        for m, head in self._heads.items():
            there = np.array([cause == Cause.NONE for cause in window.gaps[m]])
            if there[-1]:
                self._seen[m].add(head.logits(window.rows[m][-1]))
            if there.any():
                rows[m] = np.where(
                    there[:, None],
                    head.moved(window.rows[m], self._seen[m].spread, self._crowd[m]),
                    window.rows[m],
                )
                rows[m].flags.writeable = False
        return replace(window, rows=rows)


@dataclass(frozen=True)
class _Head:
    """Reads centred logits from a row, and changes a row so that it says others."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    back: NDArray[np.float64]

    @staticmethod
    def of(network: Weights) -> _Head:
        weight = network["head.weight"].astype(np.float64)
        bias = network["head.bias"].astype(np.float64)
        centred = weight - weight.mean(0)
        return _Head(centred, bias - bias.mean(), np.linalg.pinv(centred))

    def logits(self, rows: Row) -> NDArray[np.float64]:
        """Return centred logits [..., C] of rows [..., dim]."""
        return np.asarray(rows @ self.weight.T + self.bias)

    def moved(self, rows: Row, of: Spread, to: Spread) -> Row:
        """Return rows [T, dim] that say what one with the spread `to` would say.

        The change is the smallest one that does so: the head reads nothing else from it.
        """
        said = self.logits(rows)
        change = moved(said, of, to) - said
        return np.asarray(rows + change @ self.back.T, np.float32)
