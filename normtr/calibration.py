"""Probabilities that mean what they say, for the very pattern of gaps they were made under."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Calibration:
    """Temperature scaling whose temperature depends on what was missing.

    log temperature = log_temperature + sum over modalities of missing[m] * (1 - share[m]).
    `threshold`: below this top probability the recognizer abstains.
    """

    log_temperature: float
    missing: Mapping[str, float]
    threshold: float

    def probabilities(
        self, logits: NDArray[np.float32], share: Mapping[str, float]
    ) -> NDArray[np.float64]:
        """logits [C] and the share of valid steps per modality -> probabilities [C]."""
        log_t = self.log_temperature + sum(
            weight * (1.0 - share[modality]) for modality, weight in self.missing.items()
        )
        x = logits.astype(np.float64) / math.exp(log_t)
        e = np.exp(x - x.max())
        return np.asarray(e / e.sum())
