"""IEMOCAP's four classes: split as Tsai et al. (ACL 2019) distribute it, or by session."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from training import metrics
from training.datasets import arrays_only
from training.datasets.given import KEYS, Given, check, there, to_steps
from training.samples import SPLITS, Samples, Split, windows

CLASSES = ("neutral", "happy", "sad", "angry")
UTTERANCE = re.compile(r"Ses0([1-5])[FM]_.+_([FM])\w+")
"""Session (and who wears the markers), dialogue, speaker and number."""


@dataclass(frozen=True)
class _Iemocap(Given):
    """`path/file`, a pickle of {train, valid, test}, each of them a dict with

    - `text`, `audio`, `vision` [n, t, dim],
    - `labels` [n, 4, 2]: for neutral, happy, sad and angry each the pair (absent, present), of
      which exactly one is present,
    - and, for `IemocapSessions`, `id` [n].

    Rows of zeros are not valid; `given.to_steps` says what becomes of a t other than `steps`.
    """

    file: str = "iemocap_data.pkl"
    steps: int = 8
    modalities: tuple[str, ...] = ("face", "voice", "text")

    @property
    def name(self) -> str:
        return "iemocap"

    @property
    def outputs(self) -> int:
        return len(CLASSES)

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        """Of the four classes, and of each against the rest (the paper's Acc-2 and F1)."""
        chosen = outputs.argmax(1)
        each = metrics.one_versus_rest(labels, chosen, CLASSES)
        return {**metrics.emotions(labels, chosen), **each}

    def _read(self, of: Callable[[Any], Any]) -> Any:
        """What `of` takes from the file's content. Raises UserError where it is not there."""
        path = self.path / self.file
        content = arrays_only.load(path)
        try:
            return of(content)
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise UserError(f"{path} is not laid out as IEMOCAP's: {error!r}.") from None

    def _samples(
        self, ids: tuple[str, ...], groups: tuple[str, ...], part: dict[str, NDArray[Any]]
    ) -> Samples:
        present = part["labels"].reshape(-1, len(CLASSES), 2).argmax(2)
        labels = np.where(present.sum(1) == 1, present.argmax(1), -1)
        rows = {m: part[KEYS[m]].astype(np.float32) for m in self.modalities}
        check(self.path / self.file, ids, labels, rows)
        rows, valid = to_steps(rows, {m: there(x) for m, x in rows.items()}, self.steps)
        return Samples(ids, groups, windows(rows, valid, labels))

    def _arrays(self, part: dict[str, Any]) -> dict[str, NDArray[Any]]:
        return {
            key: np.asarray(part[key]) for key in ("labels", *(KEYS[m] for m in self.modalities))
        }


@dataclass(frozen=True)
class IemocapGiven(_Iemocap):
    """The file's own parts (2,717, 798 and 938 clips in the one of Tsai et al.).

    That file has no ids: its authors split by session and then left them out. A clip is named
    by its place, and is a group of its own.
    """

    def groups(self) -> dict[Split, set[str]]:
        """Not known: empty."""
        return {split: set() for split in SPLITS}

    def load(self, split: Split) -> Samples:
        part = self._read(lambda content: self._arrays(content[split]))
        ids = tuple(f"{split}_{i}" for i in range(len(part["labels"])))
        return self._samples(ids, ids, part)


@dataclass(frozen=True)
class IemocapSessions(_Iemocap):
    """All parts together, split again: one session is test, one validates, three are trained on.

    `id`: the data set's own, such as Ses01F_impro01_M003. A sample's group is its speaker (01M).
    """

    test_session: int = 5
    valid_session: int = 4

    def groups(self) -> dict[Split, set[str]]:
        ids = self._read(lambda content: [str(x) for part in content.values() for x in part["id"]])
        found = [self._who(name) for name in ids]
        return {split: {who for who in found if self._is_of(who, split)} for split in SPLITS}

    def load(self, split: Split) -> Samples:
        ids, part = self._read(self._joined)
        found = [self._who(name) for name in ids]
        chosen = [i for i, who in enumerate(found) if self._is_of(who, split)]
        if not chosen:
            raise UserError(f"{self.path / self.file} has no clip of {split}'s sessions.")
        return self._samples(
            tuple(ids[i] for i in chosen),
            tuple(found[i] for i in chosen),
            {key: x[chosen] for key, x in part.items()},
        )

    def _joined(self, content: Any) -> tuple[list[str], dict[str, NDArray[Any]]]:
        parts = [self._arrays(part) for part in content.values()]
        ids = [str(x) for part in content.values() for x in part["id"]]
        return ids, {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _who(self, name: str) -> str:
        if (found := UTTERANCE.fullmatch(name)) is None:
            raise UserError(f"{name} is not named like an IEMOCAP clip (Ses01F_impro01_M003).")
        return f"0{found[1]}{found[2]}"

    def _is_of(self, who: str, split: Split) -> bool:
        session = int(who[:2])
        if split == "train":
            return session not in (self.test_session, self.valid_session)
        return session == (self.test_session if split == "test" else self.valid_session)
