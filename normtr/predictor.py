"""Runs NORM-TR on windows and gives calibrated probabilities, confidence and abstention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from normtr.calibration import with_neutral
from normtr.checkpoint import Checkpoint
from normtr.device import Device, OnDevice
from normtr.model import NormTr
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
        self._network = OnDevice(checkpoint.norm_tr, device)
        self._there = _all if isinstance(checkpoint.norm_tr, NormTr) else None

    def __call__(self, windows: Sequence[Window]) -> list[Prediction]:
        """Judge all windows in one batch: each window whole, and without each of its modalities."""
        valid = np.stack([_versions(window) for window in windows])  # [B, 1 + M, M, T]
        wanted = (valid != valid[:, :1]).any((2, 3))  # [B, 1 + M]
        wanted[:, 0] = True
        rows = [np.stack([self._rows(window, m) for window in windows]) for m in MODALITIES]
        logits = self._network.run(_wanted, valid, wanted, *rows, there=self._there)
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


def _wanted(network: nn.Module, valid: Tensor, wanted: Tensor, *rows: Tensor) -> Tensor:
    """Return logits [B, V, C] for the wanted versions, and 0 for the others.

    `valid` is [B, V, M, T], `wanted` [B, V], and each of `rows` [B, T, N_m].
    """
    window, _ = wanted.nonzero(as_tuple=True)
    named = {m: of[window] for m, of in zip(MODALITIES, rows, strict=True)}
    logits = network(named, valid[wanted])
    out: Tensor = logits.new_zeros(*wanted.shape, logits.shape[1])
    out[wanted] = logits
    return out


def _all(network: NormTr, valid: Tensor, wanted: Tensor, *rows: Tensor) -> Tensor:
    """Return the logits of all versions. No shape depends on a value, which suits a GPU."""
    named = dict(zip(MODALITIES, rows, strict=True))
    tokens = network.extract(named, valid[:, 0], every=True).under(valid)
    logits = network.fuse(tokens, valid.flatten(0, 1))
    return logits.view(*wanted.shape, -1)


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
