"""Calibration makes probabilities mean what they say, for the pattern of gaps at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError


@dataclass(frozen=True)
class Calibration:
    """Temperature scaling whose temperature depends on what was missing.

    log temperature = log_temperature + sum over modalities of missing[m] * (1 - share[m]). The
    recognizer abstains when its top probability is below `threshold`. `prior` says how often each
    class is expected, in the order of the labels; the network was trained with this prior.
    """

    log_temperature: float
    missing: Mapping[str, float]
    threshold: float
    prior: tuple[float, ...]

    def probabilities(
        self,
        logits: NDArray[np.floating[Any]],
        share: Mapping[str, float] | Mapping[str, NDArray[np.float64]],
        prior: Sequence[float] | None = None,
    ) -> NDArray[np.float64]:
        """Return calibrated probabilities [..., C] for the logits [..., C].

        `share` gives, for each modality, the share of valid steps [...]. `prior` [C], if given,
        replaces the prior of the training.
        """
        log_t = self.log_temperature + sum(
            weight * (1.0 - share[modality]) for modality, weight in self.missing.items()
        )
        x = logits.astype(np.float64) / np.exp(log_t)[..., None]
        if prior is not None:
            x = x + np.log(np.asarray(prior) / np.asarray(self.prior))
        e = np.exp(x - x.max(-1, keepdims=True))
        return np.asarray(e / e.sum(-1, keepdims=True))


def with_neutral(share: float, labels: Sequence[str]) -> tuple[float, ...]:
    """Return a prior in which `share` of all windows are neutral and the other labels are even.

    Raises UserError when no label is `neutral`.
    """
    if "neutral" not in labels:
        raise UserError(
            f"a share of neutral windows can be expected only where a label is `neutral`; these "
            f"are {', '.join(labels)}."
        )
    rest = (1.0 - share) / (len(labels) - 1)
    return tuple(share if label == "neutral" else rest for label in labels)
