"""ICT-MMMO and the YouTube opinions, word-aligned, as Zadeh et al. (AAAI 2018) share them.

The train part has no text here, so only face and voice are used. There are no ids: a clip is named
by its place, it is not known who speaks, and the given parts are taken as they are. Rows of zeros
(no word, no face, no voice) are not valid; 72 % of YouTube's train clips have no voice row at all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.folder import DATA
from training.data.given import Given, arrays, check, layout, there, to_steps
from training.evaluation import metrics
from training.samples import SPLITS, Samples, Split, windows

FOLDER = DATA / "mmmo_youtube_steps"
KEYS = {"face": "video", "voice": "audio"}
NEUTRAL = 3.0
"""The middle of ICT-MMMO's ratings, which go from 1 to 5."""
CLASSES = ("first", "second", "third")
"""YouTube's classes; the source does not name them."""


@dataclass(frozen=True)
class _Opinions(Given, ABC):
    """A data set in `path/NAME.npz` with SPLIT_audio and SPLIT_video [n, 20, dim] and SPLIT_y."""

    path: Path = FOLDER
    steps: int = 20
    modalities: tuple[str, ...] = ("face", "voice")

    @property
    @abstractmethod
    def name(self) -> str: ...

    @abstractmethod
    def labels(self, y: NDArray[Any]) -> NDArray[Any]:
        """Return labels [n] for the file's y [n, ...]."""

    def groups(self) -> dict[Split, set[str]]:
        """Return empty sets, because it is not known who speaks."""
        return {split: set() for split in SPLITS}

    def load(self, split: Split) -> Samples:
        path = self.path / f"{self.name}.npz"
        data = arrays(
            path, [f"{split}_{key}" for key in ("y", *(KEYS[m] for m in self.modalities))]
        )
        with layout(path):
            rows = {m: data[f"{split}_{KEYS[m]}"] for m in self.modalities}
            labels = self.labels(data[f"{split}_y"])
            ids = tuple(f"{split}_{i}" for i in range(len(rows[self.modalities[0]])))
            check(path, ids, labels, rows)
            rows, valid = to_steps(rows, {m: there(x) for m, x in rows.items()}, self.steps)
            return Samples(ids, ids, windows(rows, valid, labels))


@dataclass(frozen=True)
class Mmmo(_Opinions):
    """Sentiment of film reviews. The labels are the ratings minus the neutral one, in [-2, 2].

    So `acc2_a` and `acc2_b` split the reviews at the neutral rating, and `acc5` compares ratings
    rounded to whole numbers.
    """

    @property
    def name(self) -> str:
        return "mmmo"

    def labels(self, y: NDArray[Any]) -> NDArray[Any]:
        return y.astype(np.float32) - np.float32(NEUTRAL)

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        return metrics.sentiment(labels, outputs[:, 0])


@dataclass(frozen=True)
class Youtube(_Opinions):
    """Three classes of opinion."""

    @property
    def name(self) -> str:
        return "youtube"

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    def labels(self, y: NDArray[Any]) -> NDArray[Any]:
        return np.where((y > 0).sum(1) == 1, y.argmax(1), -1)

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        return metrics.emotions(labels, outputs.argmax(1))
