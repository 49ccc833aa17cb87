"""Train NORM-TR on a data set of your own: python examples/own_dataset.py FOLDER

FOLDER gets made-up clips of three classes, and the run. For your own files only `Clips` matters.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.given import Given, arrays, there
from training.evaluation import metrics
from training.samples import SPLITS, Samples, Split, windows
from training.systems.noise_aware import Learning
from training.systems.norm_tr import Architecture, NormTrSystem

MODALITIES = ("face", "voice")


@dataclass(frozen=True)
class Clips(Given):
    """Reads `path/SPLIT.npz`: face and voice [n, T, dim], label [n] (0, 1, 2) and person [n]."""

    name = "my clips"
    classes = ("calm", "cross", "glad")

    def load(self, split: Split) -> Samples:
        data = self._file(split)
        rows = {m: data[m] for m in MODALITIES}
        valid = {m: there(x) for m, x in rows.items()}  # a row of zeros is a missing step
        ids = tuple(f"{split}-{i}" for i in range(len(data["label"])))
        return Samples(ids, tuple(data["person"]), windows(rows, valid, data["label"]))

    def groups(self) -> dict[Split, set[str]]:
        return {split: set(self._file(split)["person"]) for split in SPLITS}

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        return metrics.emotions(labels, outputs.argmax(1))

    def _file(self, split: Split) -> dict[str, NDArray[Any]]:
        return arrays(self.path / f"{split}.npz", [*MODALITIES, "label", "person"])


def make_up(folder: Path) -> None:
    """Write three splits of 96 clips, 8 steps each, whose rows lie around a mean of their class."""
    for number, split in enumerate(SPLITS):
        random = np.random.default_rng(number)
        label = random.integers(0, 3, 96)
        face, voice = random.normal(label[:, None, None], 1.0, (2, 96, 8, 4))
        person = np.array([f"{split}-{i % 8}" for i in range(96)])
        np.savez(folder / f"{split}.npz", face=face, voice=voice, label=label, person=person)


def show(found: dict[str, Any]) -> None:
    """Print the validation accuracy at each rate of erased steps."""
    for rate, accuracy in zip(
        found["valid"]["rates"], found["valid"]["metrics"]["accuracy"], strict=True
    ):
        print(f"{rate:.0%} of the steps erased: accuracy {accuracy:.2f}")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    make_up(folder)
    small = Architecture(width=32, depth=1)
    system = NormTrSystem(network=small, learning=Learning(epochs=16, lr=2e-3))
    show(system.train(Clips(folder), folder / "norm_tr", seed=1, progress=False))
