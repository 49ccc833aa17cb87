"""Windows paired by label of what the shipped recognizer's parts say of face, voice and words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from normtr.spec import LABELS, FeatureSpec
from training.data.given import Given
from training.evaluation import metrics
from training.recognizer.bank import Bank
from training.recognizer.pairing import Pairing, draw
from training.samples import SPLITS, Samples, Split

BANKS = {"train": "training.npz", "valid": "validation-0.npz", "test": "validation-1.npz"}
"""In a run of configs/recognizer/fusion.toml; the people of the three are different ones."""
STREAMS = {"train": 0, "valid": 1, "test": 2}


@dataclass(frozen=True)
class LabelPaired(Given):
    """Logits of the parts, that never saw these people, on the steps of a window; 7 classes.

    `path`: a run of `configs/recognizer/fusion.toml`. As its training is, so windows of train have people
    whose logits lie elsewhere, of valid and test not.
    """

    path: Path = Path("runs/fusion")
    recognizer: Path | None = None
    """The recognizer that this run of the fusion made; None: the shipped one."""
    steps: int = FeatureSpec().steps
    train: int = 14_000
    """Windows of the split."""
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
        """A window is a group of its own: its modalities are of several people."""
        file = self.path / BANKS[split]
        try:
            bank = Bank.load(file)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise UserError(
                f"{file} cannot be read: {error}; train configs/recognizer/fusion.toml first."
            ) from None
        seed = self.seed * len(STREAMS) + STREAMS[split]
        pairing = Pairing(bank, self.steps, seed, strange=split == "train")
        count = {"train": self.train, "valid": self.valid, "test": self.test}[split]
        drawn = draw(pairing, [(0, i) for i in range(count)]).windows
        ids = tuple(f"{split}-{i}" for i in range(count))
        return Samples(ids, ids, drawn)
