"""Window -> NORM-TR -> calibrated probabilities, confidence, abstention."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from normtr.checkpoint import Checkpoint
from normtr.spec import MODALITIES
from normtr.window import Window


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


class Judge:
    """NORM-TR at batch 1, the same live and offline."""

    def __init__(self, checkpoint: Checkpoint, device: str = "cpu") -> None:
        self._labels = checkpoint.labels
        self._calibration = checkpoint.calibration
        self._network = checkpoint.norm_tr.to(device)
        self._device = device

    def __call__(self, window: Window) -> Judgement:
        rows = {m: torch.tensor(window.rows[m]).to(self._device)[None] for m in MODALITIES}
        valid = torch.tensor(window.valid).to(self._device)[None]
        with torch.inference_mode():
            logits = self._network(rows, valid)[0].float().cpu().numpy()
        probabilities = self._calibration.probabilities(logits, window.share)
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        nothing = not window.valid.any()
        return Judgement(
            tuple(float(p) for p in probabilities),
            self._labels[best],
            confidence,
            nothing or confidence < self._calibration.threshold,
        )
