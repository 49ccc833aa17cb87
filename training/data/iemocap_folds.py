"""IEMOCAP's four classes in the files of MMIN's authors, on which IF-MMIN and NMER were published.

    A/comparE.h5, V/denseface.h5, L/bert_large.h5    rows [t, dim] by the utterance's name
    target/FOLD/trn_int2name.npy                     names, bytes [n, 1]; also val_, tst_
    target/FOLD/trn_label.npy                        one-hot [n, 4]

There are ten folds. Each tests one speaker of a session, and validates on the other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from training.data.given import Given, check, layout, there, to_steps
from training.data.iemocap import speaker
from training.evaluation import metrics
from training.samples import SPLITS, Samples, Split, windows

CLASSES = ("angry", "happy", "neutral", "sad")
FILES = {"voice": "A/comparE.h5", "face": "V/denseface.h5", "text": "L/bert_large.h5"}
"""The file of each modality, in the authors' order."""
PARTS = {"train": "trn", "valid": "val", "test": "tst"}
"""The authors' names of the splits."""

Sequences = list[NDArray[np.float32]]


@dataclass(frozen=True)
class IemocapFolds(Given):
    """One of the ten folds; `path` holds the folders A, V, L and target.

    Rows of zeros are not valid. `given.to_steps` fits more or fewer than `steps` rows.
    """

    fold: int = 1
    steps: int = 50
    modalities: tuple[str, ...] = tuple(FILES)

    def __post_init__(self) -> None:
        """Raise ValueError when there is no such fold."""
        if not 1 <= self.fold <= 10:
            raise ValueError(f"folds are 1 to 10, not {self.fold}")

    @property
    def name(self) -> str:
        return f"iemocap fold {self.fold}"

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        return metrics.emotions(labels, outputs.argmax(1))

    def groups(self) -> dict[Split, set[str]]:
        return {split: {speaker(name) for name in self._named(split)[0]} for split in SPLITS}

    def load(self, split: Split) -> Samples:
        names, labels = self._named(split)
        with layout(self.path):
            found = {m: _padded(self._rows(m, names)) for m in self.modalities}
        check(self.path, names, labels, found)
        rows, valid = to_steps(found, {m: there(x) for m, x in found.items()}, self.steps)
        people = tuple(speaker(name) for name in names)
        return Samples(tuple(names), people, windows(rows, valid, labels))

    def _named(self, split: Split) -> tuple[list[str], NDArray[np.int64]]:
        """Return the utterances' names and their classes, int64 [n], -1 where there is not one.

        Raises UserError when the files cannot be read.
        """
        folder = self.path / "target" / str(self.fold)
        try:
            names = np.load(folder / f"{PARTS[split]}_int2name.npy", allow_pickle=False)
            label = np.load(folder / f"{PARTS[split]}_label.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{folder} cannot be read: {error}.") from None
        with layout(folder):
            if label.shape != (len(names), len(CLASSES)):
                raise ValueError(f"labels of shape {label.shape} for {len(names)} names")
            if not len(names):
                raise ValueError(f"{split} has no utterance")
            told = [bytes(name).decode() for name in names.reshape(len(names))]
            classes = np.where((label == 1).sum(1) == 1, label.argmax(1), -1)
            return told, classes.astype(np.int64)

    def _rows(self, modality: str, names: Sequence[str]) -> Sequences:
        path = self.path / FILES[modality]
        try:
            with h5py.File(path, "r") as file:
                if lacking := next((name for name in names if name not in file), None):
                    raise UserError(f"{path} has no {lacking}.")
                found = [np.asarray(file[name][()], np.float32) for name in names]
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f"{path} cannot be read: {error}.") from None
        with layout(path):
            if any(x.ndim != 2 or not len(x) for x in found):
                raise ValueError("rows that are not [t, dim]")
            return found


def _padded(found: Sequences) -> NDArray[np.float32]:
    """Stack sequences [t, dim] to [n, longest t, dim], with zeros after the end of each."""
    out = np.zeros((len(found), max(map(len, found)), found[0].shape[1]), np.float32)
    for mine, x in zip(out, found, strict=True):
        mine[: len(x)] = x
    return out
