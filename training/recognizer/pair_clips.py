"""A data set of clips of people who are seen and heard: what parts that never met them say."""

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
from training.recognizer.paired import BANKS
from training.recognizer.row_bank import Bank, Pairs
from training.recognizer.true_pairs import every_step
from training.samples import SPLITS, Samples, Split
from training.windows import Windows


@dataclass(frozen=True)
class PairClips(Given):
    """Each clip is one window of logits, as it is at the clip's end; words are not there.

    `path` is a run of configs/recognizer/fusion.toml that had true pairs.
    """

    path: Path = Path("runs/fusion")
    valid_people: tuple[str, ...] = ("javanese 06",)
    test_people: tuple[str, ...] = ("javanese 07",)
    steps: int = FeatureSpec().steps

    @property
    def name(self) -> str:
        return "pair_clips"

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(LABELS[label] for label in self._shown())

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        return metrics.emotions(labels, outputs.argmax(1))

    def groups(self) -> dict[Split, set[str]]:
        people = self._pairs().people
        return {s: {str(person) for person in people[self._chosen(people, s)]} for s in SPLITS}

    def load(self, split: Split) -> Samples:
        """Return the clips of the split's people. Raises UserError where there are none."""
        pairs = self._pairs()
        chosen = self._chosen(pairs.people, split)
        if not chosen.any():
            raise UserError(f"{self.path} has no clips of the people of {split!r}.")
        mine = pairs.part(chosen)
        windows, _ = every_step(mine, self.steps)
        ends = windows.part(mine.faces.offsets[1:] - 1)
        labels = np.searchsorted(self._shown(), ends.labels.numpy())
        rows = {m: ends.rows[m] for m in ("face", "voice")}
        numbers = np.flatnonzero(chosen).tolist()
        return Samples(
            tuple(f"clip {number}" for number in numbers),
            tuple(str(person) for person in mine.people),
            Windows(rows, ends.valid[:, :2], ends.labels.new_tensor(labels)),
        )

    def _shown(self) -> list[int]:
        return [int(label) for label in np.unique(self._pairs().faces.labels)]

    def _chosen(self, people: NDArray[np.str_], split: Split) -> NDArray[np.bool_]:
        if split == "train":
            return ~np.isin(people, [*self.valid_people, *self.test_people])
        return np.isin(people, self.test_people if split == "test" else self.valid_people)

    def _pairs(self) -> Pairs:
        file = self.path / BANKS["train"]
        try:
            pairs = Bank.load(file).pairs
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise UserError(
                f"{file} cannot be read: {error}; train configs/recognizer/fusion.toml first."
            ) from None
        if pairs is None:
            raise UserError(f"{file} has no true pairs.")
        return pairs
