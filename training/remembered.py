"""A data set that keeps its last reads in memory, because many runs read the same."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from training.samples import DataSet, Samples, Split

SPLITS, WITHOUT_WORDS = 2, 6
"""How many reads of each kind stay."""


class Remembered:
    """Reads as the data set within does; its samples are shared, so nobody may change them."""

    def __init__(self, data: DataSet) -> None:
        self.data = data
        self.name, self.outputs = data.name, data.outputs
        self._load = lru_cache(SPLITS)(data.load)
        self._without_words = lru_cache(WITHOUT_WORDS)(data.without_words)

    def at(self, path: Path) -> Remembered:
        return Remembered(self.data.at(path))

    def load(self, split: Split) -> Samples:
        return self._load(split)

    def without_words(self, split: Split, rate: float, seed: int) -> Samples:
        return self._without_words(split, rate, seed)


class Memory:
    """Remembers the data set that it was given last, and no other."""

    def __init__(self) -> None:
        self._last: Remembered | None = None

    def __call__(self, data: DataSet) -> Remembered:
        if self._last is None or self._last.data != data:
            self._last = Remembered(data)
        return self._last
