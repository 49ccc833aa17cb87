"""Window -> NORM-TR -> calibrated probabilities, confidence, abstention."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from normtr.calibration import with_neutral
from normtr.checkpoint import Checkpoint
from normtr.personal import Personal, offsets
from normtr.spec import MODALITIES
from normtr.window import Row, Window


@dataclass(frozen=True)
class Judgement:
    """What the recognizer says of one window."""

    probabilities: tuple[float, ...]
    """Calibrated, in the order of the checkpoint's labels."""
    top: str
    confidence: float
    """The calibrated probability of `top`."""
    abstained: bool
    """Nothing valid was seen, or the confidence is under the checkpoint's threshold."""
    share: dict[str, float]
    """Of each modality in the decision for `top`: they add up to 1, or are 0 where none had any."""


class Judge:
    """NORM-TR at batch 1, the same live and offline."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str = "cpu",
        neutral: float | None = None,
        personal: Personal | None = None,
    ) -> None:
        """`neutral`: the share of neutral windows that is expected; None: the checkpoint's prior.

        `personal`: a bias that is taken off the rows.
        """
        self._labels = checkpoint.labels
        self._calibration = checkpoint.calibration
        self._prior = None if neutral is None else with_neutral(neutral, checkpoint.labels)
        self._offsets = {} if personal is None else offsets(checkpoint, personal)
        self._network = checkpoint.norm_tr.to(device)
        self._device = device

    def __call__(self, window: Window) -> Judgement:
        """One batched forward: the window, and the window without each modality."""
        some = [m for m, share in window.share.items() if share > 0.0]
        versions = 1 + len(some)
        valid = torch.tensor(window.valid)[None].repeat(versions, 1, 1)
        for version, modality in enumerate(some, 1):
            valid[version, MODALITIES.index(modality)] = False
        rows = {
            m: torch.tensor(self._rows(window, m)).to(self._device).expand(versions, -1, -1)
            for m in MODALITIES
        }
        with torch.inference_mode():
            logits = self._network(rows, valid.to(self._device)).float().cpu().numpy()
        share = valid.double().mean(2).numpy()  # [versions, M]
        whole, *without = self._calibration.probabilities(
            logits, dict(zip(MODALITIES, share.T, strict=True)), self._prior
        )
        best = int(whole.argmax())
        confidence = float(whole[best])
        return Judgement(
            tuple(float(p) for p in whole),
            self._labels[best],
            confidence,
            not some or confidence < self._calibration.threshold,
            _attributed(whole[best], {m: p[best] for m, p in zip(some, without, strict=True)}),
        )

    def _rows(self, window: Window, modality: str) -> Row:
        """[T, N]; what an invalid step holds does not count."""
        rows, offset = window.rows[modality], self._offsets.get(modality)
        return rows if offset is None else rows - offset


def _attributed(whole: float, without: dict[str, float]) -> dict[str, float]:
    """Leave one out: what the log-odds of the top label lose without each modality.

    A modality that speaks against the label has no share in it.
    """
    loss = {m: max(0.0, _log_odds(whole) - _log_odds(p)) for m, p in without.items()}
    total = sum(loss.values())
    return {m: loss.get(m, 0.0) / total if total else 0.0 for m in MODALITIES}


def _log_odds(p: float) -> float:
    p = min(max(p, 1e-9), 1.0 - 1e-9)
    return math.log(p / (1.0 - p))
