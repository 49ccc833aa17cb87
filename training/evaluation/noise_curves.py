"""A model's metrics over noise rates: the same protocol for every system."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from normtr.errors import UserError
from training.evaluation import metrics
from training.evaluation.diffusion_noise import diffused, schedule, statistics
from training.evaluation.missing_patterns import conditions
from training.noise import RATES
from training.parallel_cpu import over_cores, slices
from training.samples import DataSet, Samples, Split, loaded, loaded_without_words
from training.windows import Windows

Predict = Callable[[Windows], Tensor]
"""A function that gives outputs [n, C or 1] for windows."""
MASK_SEEDS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Protocol:
    """The noise under which a table was made; every table and JSON states it."""

    noise: str = "steps"
    """What is erased: steps, windows, or modality:NAME[+NAME]."""
    mask_stage: Literal["feature", "word"] = "feature"
    """Whether rows are erased, or words before BERT sees them (the voice loses steps as ever)."""
    rates: tuple[float, ...] = RATES
    mask_seeds: tuple[int, ...] = MASK_SEEDS
    erased: str = "zero"
    """What becomes of erased rows: zero | gaussian:STEPS | impulse:STEPS (NMER's schedule)."""

    def check(self, modalities: Sequence[str]) -> None:
        """Raise UserError where the noise is unknown or a rate cannot be."""
        sizes = range(1, max(2, len(modalities)))
        some = [those for size in sizes for those in combinations(modalities, size)]
        named = [f"modality:{'+'.join(those)}" for those in some]
        if self.noise not in ("steps", "windows", *named):
            known = ", ".join(["steps", "windows", *named])
            raise UserError(f"there is no noise {self.noise!r}; there is {known}.")
        if not self.rates or not all(0 <= rate <= 1 for rate in self.rates):
            raise UserError("noise rates lie from 0 to 1.")
        if list(self.rates) != sorted(set(self.rates)):
            raise UserError("noise rates must rise.")
        if self.mask_stage == "word" and self.noise != "steps":
            raise UserError("words are erased with --noise steps only.")
        if self.erased != "zero":
            schedule(self.erased)
            if self.mask_stage == "word":
                raise UserError("words that are erased are gone; leave --erased zero.")


def with_missing(modalities: Sequence[str], erased: str = "zero") -> dict[str, Protocol]:
    """Return a protocol for each choice of modalities (`text+voice`); the others are erased.

    Raises UserError where there are fewer than two.
    """
    return {
        "+".join(there): Protocol(
            f"modality:{'+'.join(m for m in modalities if m not in there)}",
            rates=(1.0,),
            erased=erased,
        )
        for there in conditions(modalities)
    }


def in_slices(model: torch.nn.Module) -> Predict:
    """Return a function that computes a model's outputs in slices, without gradients."""

    def predict(windows: Windows) -> Tensor:
        n, m, t = windows.valid.shape

        def outputs(part: slice) -> Tensor:
            with torch.inference_mode():
                rows = {m: x[part] for m, x in windows.rows.items()}
                out: Tensor = model(rows, windows.valid[part])
                return out

        if windows.valid.is_cuda:
            return outputs(slice(n))
        return torch.cat(over_cores(outputs, slices(n, m * t)))

    return predict


def noisy(
    data: DataSet, split: Split, samples: Samples, protocol: Protocol, rate: float, seed: int
) -> Windows:
    """Return the samples as they are at one rate and mask seed."""
    if protocol.mask_stage == "feature" or rate == 0:
        left = samples.under(protocol.noise, rate, seed)
        if protocol.erased == "zero":
            return left
        unit = statistics(loaded(data, "train").windows)
        return diffused(samples, left, protocol.erased, unit, seed)
    erased = loaded_without_words(data, split, rate, seed)
    for modality in erased.windows.rows:
        if modality != "text":
            erased = replace(erased, windows=erased.under(f"modality:{modality}", rate, seed))
    return erased.windows


def predictions(
    predict: Predict, data: DataSet, split: Split, samples: Samples, protocol: Protocol
) -> NDArray[np.float32]:
    """Return outputs float32 [rates, mask seeds, n, C or 1]."""
    out = []
    for rate in tqdm(protocol.rates, "noise rates", leave=False):
        alike = rate == 0 or (rate == 1 and protocol.erased == "zero")
        seeds = protocol.mask_seeds[:1] if alike else protocol.mask_seeds
        drawn = [
            predict(noisy(data, split, samples, protocol, rate, seed)).numpy() for seed in seeds
        ]
        out.append(drawn * (len(protocol.mask_seeds) // len(drawn)))
    return np.array(out, np.float32)


def curves(
    data: DataSet, outputs: NDArray[np.float32], labels: NDArray[Any]
) -> dict[str, list[float]]:
    """Return each metric over the rates, averaged over the mask seeds.

    `outputs` is [rates, mask seeds, n, C or 1].
    """
    per_rate = [[data.scores(one, labels) for one in seeds] for seeds in outputs]
    names = per_rate[0][0]
    return {
        name: [float(np.mean([one[name] for one in seeds])) for seeds in per_rate] for name in names
    }


def areas(
    rates: Sequence[float], curves: dict[str, list[float]], upto: float = 1.0
) -> dict[str, float]:
    """Return the AUILC of each metric, or nothing where there are fewer than two rates."""
    if sum(rate <= upto + 1e-9 for rate in rates) < 2:
        return {}
    return {name: metrics.auilc(rates, values, upto) for name, values in curves.items()}
