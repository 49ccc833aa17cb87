"""IEMOCAP's four classes, split as Tsai et al. (ACL 2019) distribute them, or by session."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from training.data import arrays_only
from training.data.given import KEYS, Given, check, layout, there, to_steps
from training.evaluation import metrics
from training.samples import SPLITS, Samples, Split, windows

CLASSES = ("neutral", "happy", "sad", "angry")
UTTERANCE = re.compile(r"Ses0([1-5])[FM]_.+_([FM])\w+")
"""A name holds the session, who wears the markers, the dialogue, the speaker and a number."""


@dataclass(frozen=True)
class _Iemocap(Given):
    """The pickle `path/file` of {train, valid, test}, each of them a dict with

    - `text`, `audio`, `vision` [n, t, dim],
    - `labels` [n, 4, 2]: a pair (absent, present) for each of neutral, happy, sad and angry, of
      which exactly one is present,
    - and, for `IemocapSessions`, `id` [n].

    Rows of zeros are not valid. `given.to_steps` fits a t other than `steps`.
    """

    file: str = "iemocap_data.pkl"
    steps: int = 8
    modalities: tuple[str, ...] = ("face", "voice", "text")

    @property
    def name(self) -> str:
        return "iemocap"

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        """Return the metrics of the four classes, and of each class against the rest.

        The latter are the Acc-2 and F1 of NORM-TR's paper.
        """
        chosen = outputs.argmax(1)
        each = metrics.one_versus_rest(labels, chosen, CLASSES)
        return {**metrics.emotions(labels, chosen), **each}

    @property
    def _file(self) -> Path:
        return self.path / self.file

    def _arrays(self, part: dict[str, Any]) -> dict[str, NDArray[Any]]:
        """Return `labels` int64 [n] (-1 where there is not exactly one), and rows by modality."""
        pairs = np.asarray(part["labels"])
        if pairs.shape[1:] != (len(CLASSES), 2):
            raise ValueError(f"labels of shape {pairs.shape}")
        present = pairs.argmax(2)
        rows = {m: np.asarray(part[KEYS[m]], np.float32) for m in self.modalities}
        return {"labels": np.where(present.sum(1) == 1, present.argmax(1), -1), **rows}

    def _samples(
        self, ids: Sequence[str], groups: Sequence[str], found: dict[str, NDArray[Any]]
    ) -> Samples:
        labels = found.pop("labels")
        check(self._file, ids, labels, found)
        rows, valid = to_steps(found, {m: there(x) for m, x in found.items()}, self.steps)
        return Samples(tuple(ids), tuple(groups), windows(rows, valid, labels))


@dataclass(frozen=True)
class IemocapGiven(_Iemocap):
    """The file's own parts (2,717, 798 and 938 clips in that of Tsai et al.).

    That file has no ids, because its authors split by session and then left them out. A clip is
    named by its place, and is a group of its own.
    """

    def groups(self) -> dict[Split, set[str]]:
        """Return empty sets, because it is not known who speaks."""
        return {split: set() for split in SPLITS}

    def load(self, split: Split) -> Samples:
        data = arrays_only.load(self._file)
        with layout(self._file):
            found = self._arrays(data[split])
            ids = [f"{split}_{i}" for i in range(len(found["labels"]))]
            return self._samples(ids, ids, found)


@dataclass(frozen=True)
class IemocapSessions(_Iemocap):
    """All parts together, split again: one session tests, one validates, three are trained on.

    `id` is the data set's own, such as Ses01F_impro01_M003. A sample's group is its speaker (01M).
    """

    test_session: int = 5
    valid_session: int = 4

    def groups(self) -> dict[Split, set[str]]:
        data = arrays_only.load(self._file)
        with layout(self._file):
            speakers = {speaker(str(name)) for part in data.values() for name in part["id"]}
        return {split: {who for who in speakers if self._is_of(who, split)} for split in SPLITS}

    def load(self, split: Split) -> Samples:
        data = arrays_only.load(self._file)
        with layout(self._file):
            ids = [str(name) for part in data.values() for name in part["id"]]
            speakers = [speaker(name) for name in ids]
            parts = [self._arrays(part) for part in data.values()]
            joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
            every = self._samples(ids, speakers, joined)
        chosen = [i for i, who in enumerate(speakers) if self._is_of(who, split)]
        if not chosen:
            raise UserError(f"{self._file} has no clip of {split}'s sessions.")
        return Samples(
            tuple(ids[i] for i in chosen),
            tuple(speakers[i] for i in chosen),
            every.windows.part(np.array(chosen)),
        )

    def _is_of(self, who: str, split: Split) -> bool:
        session = int(who[:2])
        if split == "train":
            return session not in (self.test_session, self.valid_session)
        return session == (self.test_session if split == "test" else self.valid_session)


def speaker(name: str) -> str:
    """Return the speaker of an utterance, 01M for Ses01F_impro01_M003.

    Raises UserError for a name of another form.
    """
    if (found := UTTERANCE.fullmatch(name)) is None:
        raise UserError(f"{name} is not named like an IEMOCAP clip (Ses01F_impro01_M003).")
    return f"0{found[1]}{found[2]}"
