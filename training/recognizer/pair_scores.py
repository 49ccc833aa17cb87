"""Judges fusions on people who are seen and heard, each by one that learnt nothing of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from normtr.calibration import Calibration
from normtr.spec import MODALITIES
from training import noise
from training.evaluation import probability_calibration
from training.evaluation.noise_curves import Predict
from training.evaluation.part_scores import among, ece, scores
from training.recognizer.row_bank import Pairs
from training.samples import numbered
from training.windows import Windows, joined


@dataclass(frozen=True)
class Strangers:
    """Windows of people who are strangers to a fusion."""

    windows: Windows
    predict: Predict
    """That fusion."""


def each_by_its_own(strangers: Sequence[Strangers]) -> Predict:
    """Return what judges all windows, joined once or several times, each by its own fusion."""
    owner = np.repeat(np.arange(len(strangers)), [len(s.windows.labels) for s in strangers])

    def predict(windows: Windows) -> Tensor:
        whose = np.resize(owner, len(windows.labels))
        parts = [np.flatnonzero(whose == k) for k in range(len(strangers))]
        found = torch.cat(
            [s.predict(windows.part(p)) for s, p in zip(strangers, parts, strict=True)]
        )
        return found[np.argsort(np.concatenate(parts), kind="stable")]

    return predict


def report(
    pairs: Pairs, strangers: Sequence[Strangers], calibration: Calibration, seed: int
) -> dict[str, Any]:
    """Return scores by clip, fused and of each modality alone, and the ECE of windows by rate.

    The `strangers` are the people of the `pairs`, in the order of their names, with the windows of
    all steps of their clips. A clip's answer is the mean log-probability of its steps.
    """
    order = np.concatenate([np.flatnonzero(pairs.people == p) for p in np.unique(pairs.people)])
    clip = np.repeat(order, np.diff(pairs.faces.offsets)[order])
    windows = joined([s.windows for s in strangers])
    predict = each_by_its_own(strangers)
    found: dict[str, Any] = {}
    for name, there in (("fused", MODALITIES), *((m, (m,)) for m in MODALITIES[:2])):
        seen = numbered(windows).only(there)
        p = probability_calibration.probabilities(calibration, predict(seen), seen.valid)
        said = np.zeros((len(order), p.shape[1]))
        np.add.at(said, clip, np.log(p))
        said /= np.bincount(clip)[:, None]
        labels = pairs.faces.labels
        found[name] = scores(among(said, labels), labels, np.ones(len(labels), np.bool_))
    found["ece_by_rate"] = {
        f"{rate:.1f}": _ece(predict, numbered(windows).under("windows", rate, seed), calibration)
        for rate in noise.RATES
    }
    return found


def _ece(predict: Predict, windows: Windows, calibration: Calibration) -> float:
    p = probability_calibration.probabilities(calibration, predict(windows), windows.valid)
    return ece(p.max(1), p.argmax(1) == windows.labels.numpy())
