"""Runs NORM-TR on windows and gives calibrated probabilities, confidence and abstention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normtr.calibration import with_neutral
from normtr.checkpoint import Checkpoint
from normtr.device import Device
from normtr.spec import MODALITIES
from normtr.user_baseline import UserBaseline, offsets
from normtr.window import Row, Window


@dataclass(frozen=True)
class Prediction:
    """The recognizer's answer for one window."""

    probabilities: tuple[float, ...]
    """Calibrated probabilities, in the order of the checkpoint's labels."""
    top: str
    confidence: float
    """The calibrated probability of `top`."""
    abstained: bool
    """Nothing valid was seen, or the confidence is under the checkpoint's threshold."""
    share: dict[str, float]
    """The share of each modality in the decision for `top`. They add up to 1, or all are 0."""


class Predictor:
    """Runs NORM-TR in the same way live and offline. One thread owns it."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: Device | None = None,
        neutral: float | None = None,
        baseline: UserBaseline | None = None,
    ) -> None:
        """Load the network onto the device.

        `neutral` is the expected share of neutral windows; None keeps the checkpoint's prior.
        `baseline` is a bias that is taken off the rows.
        """
        self._labels = checkpoint.labels
        self._calibration = checkpoint.calibration
        self._prior = None if neutral is None else with_neutral(neutral, checkpoint.labels)
        self._offsets = {} if baseline is None else offsets(checkpoint, baseline)
        self._network = checkpoint.norm_tr.on(device)

    def __call__(self, windows: Sequence[Window]) -> list[Prediction]:
        """Judge all windows in one batch: each window whole, and without each of its modalities."""
        valid = np.stack([_versions(window) for window in windows])  # [B, 1 + M, M, T]
        wanted = (valid != valid[:, :1]).any((2, 3))  # [B, 1 + M]
        wanted[:, 0] = True
        rows = [np.stack([self._rows(window, m) for window in windows]) for m in MODALITIES]
        logits = self._network(valid, *rows)
        return [self._prediction(*one) for one in zip(logits, valid, wanted, strict=True)]

    def _prediction(
        self, logits: NDArray[np.float32], valid: NDArray[np.bool_], wanted: NDArray[np.bool_]
    ) -> Prediction:
        """Return the prediction for one window from its versions: whole, and without each modality.

        `logits` [1 + M, C] belong to the versions. `valid` [1 + M, M, T] says which steps each
        version has, and `wanted` [1 + M] which versions count.
        """
        share = valid[wanted].mean(2)  # [versions, M]
        whole, *without = self._calibration.probabilities(
            logits[wanted], dict(zip(MODALITIES, share.T, strict=True)), self._prior
        )
        some = [m for m, there in zip(MODALITIES, wanted[1:], strict=True) if there]
        best = int(whole.argmax())
        confidence = float(whole[best])
        return Prediction(
            tuple(float(p) for p in whole),
            self._labels[best],
            confidence,
            not some or confidence < self._calibration.threshold,
            _attributed(whole[best], {m: p[best] for m, p in zip(some, without, strict=True)}),
        )

    def _rows(self, window: Window, modality: str) -> Row:
        """Return the rows [T, N] of a modality; the values of invalid steps do not matter."""
        rows, offset = window.rows[modality], self._offsets.get(modality)
        return rows if offset is None else rows - offset


def _versions(window: Window) -> NDArray[np.bool_]:
    """Return bool [1 + M, M, T]: the valid steps, then the same without each modality."""
    whole = window.valid
    kept = ~np.eye(len(whole), dtype=bool)[:, :, None]  # [M, M, 1]
    return np.concatenate([whole[None], whole & kept])


def _attributed(whole: float, without: dict[str, float]) -> dict[str, float]:
    """Return each modality's share: what the log-odds of the top label lose without it.

    A modality that speaks against the label has no share.
    """
    loss = {m: max(0.0, _log_odds(whole) - _log_odds(p)) for m, p in without.items()}
    total = sum(loss.values())
    return {m: loss.get(m, 0.0) / total if total else 0.0 for m in MODALITIES}


def _log_odds(p: float) -> float:
    p = min(max(p, 1e-9), 1.0 - 1e-9)
    return math.log(p / (1.0 - p))
