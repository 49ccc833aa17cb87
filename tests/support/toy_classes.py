"""A small data set of classes, for the tests of systems that are trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from normtr.errors import UserError
from training.evaluation import metrics
from training.samples import SPLITS, Samples, Split
from training.windows import Windows

PEOPLE = 8
"""Each split has this many people."""


@dataclass(frozen=True)
class Classes:
    """Three modalities that all tell which of three classes it is."""

    modalities: tuple[str, ...] = ("face", "voice", "text")

    name = "classes"
    classes = ("one", "two", "three")
    outputs = 3

    def at(self, path: Path) -> Self:
        return self

    def groups(self) -> dict[Split, set[str]]:
        return {split: {f"{split}-{n}" for n in range(PEOPLE)} for split in SPLITS}

    def load(self, split: Split) -> Samples:
        n = 96
        random = torch.Generator().manual_seed(SPLITS.index(split))
        labels = torch.randint(3, (n,), generator=random)
        rows = {
            m: torch.randn(n, 6, 4, generator=random) + 2 * labels[:, None, None] - 2
            for m in self.modalities
        }
        valid = torch.ones(n, len(rows), 6, dtype=torch.bool)
        ids = tuple(f"{split}-{i}" for i in range(n))
        people = tuple(f"{split}-{i % PEOPLE}" for i in range(n))
        return Samples(ids, people, Windows(rows, valid, labels))

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        return metrics.emotions(labels, outputs.argmax(1))

    def without_words(self, split: Split, rate: float, seed: int) -> Samples:
        raise UserError("there are no words.")
