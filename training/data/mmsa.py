"""MMSA's feature files of CMU-MOSI, CMU-MOSEI and CH-SIMS (github.com/thuiar/MMSA)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.data import arrays_only
from training.data.given import KEYS, Given, There, check, layout, there, to_steps
from training.evaluation import metrics
from training.samples import SPLITS, Samples, Split, windows


@dataclass(frozen=True)
class Mmsa(Given):
    """The pickle `path/file` of {train, valid, test}, each of them a dict with

    - `id` [n]: VIDEO$_$CLIP; a sample's group is its video,
    - `regression_labels` [n]: sentiment in [-3, 3], or in [-1, 1] for CH-SIMS,
    - `vision`, `audio`, `text` [n, t, dim]: rows of the face, the voice and BERT, whose t may
      differ,
    - and, if they are known, `text_bert` [n, 3, t] (its second row is the token mask),
      `vision_lengths` and `audio_lengths` [n].

    Rows beyond a length or outside the token mask, and rows of zeros (padding, no face), are not
    valid. `given.to_steps` fits a t other than `steps`.
    """

    corpus: Literal["mosi", "mosei", "sims"] = "mosi"
    file: str = "aligned_50.pkl"
    steps: int = 50
    modalities: tuple[str, ...] = ("face", "voice", "text")

    @property
    def name(self) -> str:
        return f"{self.corpus}_mmsa"

    def groups(self) -> dict[Split, set[str]]:
        data = arrays_only.load(self._file)
        with layout(self._file):
            return {split: {_video(str(name)) for name in data[split]["id"]} for split in SPLITS}

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        of = metrics.sims if self.corpus == "sims" else metrics.sentiment
        return of(labels, outputs[:, 0])

    def load(self, split: Split) -> Samples:
        data = arrays_only.load(self._file)
        with layout(self._file):
            part = data[split]
            ids = tuple(map(str, part["id"]))
            labels = np.asarray(part["regression_labels"], np.float32).reshape(-1)
            rows = {m: np.asarray(part[KEYS[m]], np.float32) for m in self.modalities}
            check(self._file, ids, labels, rows)
            valid = {m: there(x) & _within(part, KEYS[m], x.shape[1]) for m, x in rows.items()}
            rows, valid = to_steps(rows, valid, self.steps)
        return Samples(ids, tuple(map(_video, ids)), windows(rows, valid, labels))

    @property
    def _file(self) -> Path:
        return self.path / self.file


def _video(name: str) -> str:
    return name.partition("$_$")[0]


def _within(part: dict[str, Any], key: str, t: int) -> There:
    """Return which of t steps a clip's length or token mask covers, bool [n, t].

    It is [1] and True if there is neither.
    """
    if f"{key}_lengths" in part:
        return np.arange(t) < np.asarray(part[f"{key}_lengths"], np.int64).reshape(-1, 1)
    if key == "text" and "text_bert" in part and np.shape(part["text_bert"])[2] == t:
        return np.asarray(part["text_bert"])[:, 1] > 0
    return np.ones(1, np.bool_)
