"""A data set of windows paired by label, made of what a recognizer's parts say."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from normtr.spec import LABELS, FeatureSpec
from training.data.given import Given
from training.evaluation import metrics
from training.recognizer.gap_traces import Traces
from training.recognizer.pairing import Pairing, draw, gaps
from training.recognizer.row_bank import Bank
from training.samples import SPLITS, Samples, Split
from training.windows import Key, Windows

BANKS = {"train": "training.npz", "valid": "validation-0.npz", "test": "validation-1.npz"}
"""The files of a run of configs/recognizer/fusion.toml; each is of other people."""
STREAMS = {"train": 0, "valid": 1, "test": 2}


@dataclass(frozen=True)
class LabelPaired(Given):
    """Windows of logits of parts that never saw these people; seven classes.

    `path` is a run of configs/recognizer/fusion.toml. Every window of training is of people whose
    logits lie a little elsewhere, since there are few people to learn from.
    """

    path: Path = Path("runs/fusion")
    recognizer: Path | None = None
    """The folder of the recognizer that this run of the fusion made; None: the shipped one."""
    steps: int = FeatureSpec().steps
    train: int = 14_000
    """The number of training windows that are drawn once."""
    windows_per_epoch: int = 0
    """So many windows are drawn anew in every epoch of training, with the gaps of live streams; 0:
    training sees the `train` windows in every epoch."""
    without: str = ""
    """A person of the pairs of whom training sees nothing, so that they can be judged."""
    gap_trace: Path | None = None
    """A file of gaps that `normtr live --record-gaps` wrote; None: the shipped ones."""
    valid: int = 3_500
    test: int = 7_000
    seed: int = 1

    @property
    def name(self) -> str:
        return "paired"

    @property
    def rows_of(self) -> None:
        return None

    @property
    def classes(self) -> tuple[str, ...]:
        return LABELS

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        return metrics.emotions(labels, outputs.argmax(1))

    def groups(self) -> dict[Split, set[str]]:
        return {split: {split} for split in SPLITS}

    def load(self, split: Split) -> Samples:
        """Return windows that are a group each: their modalities are of several people."""
        count = {"train": self.train, "valid": self.valid, "test": self.test}[split]
        drawn = draw(self._pairing(split), [(0, i) for i in range(count)])
        ids = tuple(f"{split}-{i}" for i in range(count))
        return Samples(ids, ids, drawn)

    def draw(self, keys: list[Key]) -> Windows:
        traces = _traces(self.gap_trace)
        masks = [gaps(self.steps, self.seed, key, traces) for key in keys]
        return draw(self._pairing("train"), keys).under(np.stack(masks))

    def _pairing(self, split: Split) -> Pairing:
        seed = self.seed * len(STREAMS) + STREAMS[split]
        return _pairing(self.path / BANKS[split], self.steps, seed, split == "train", self.without)


@functools.lru_cache(4)
def _pairing(file: Path, steps: int, seed: int, strange: bool, without: str) -> Pairing:
    """Raise UserError where the file holds no bank."""
    try:
        bank = Bank.load(file)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(
            f"{file} cannot be read: {error}; train configs/recognizer/fusion.toml first."
        ) from None
    if bank.pairs is not None:
        others = bank.pairs.people != without
        bank = replace(bank, pairs=bank.pairs.part(others) if others.any() else None)
    return Pairing(bank, steps, seed, strange)


@functools.lru_cache(1)
def _traces(path: Path | None) -> Traces:
    return Traces.load(path)
