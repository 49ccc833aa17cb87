"""Samples of a data set: windows with names, by which noise and statistics are keyed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, Protocol, Self, get_args, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from normtr.errors import UserError
from training import noise
from training.windows import Batch, Key, Windows, joined

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Masks = Literal["windows", "rates", "conditions", "none"]


@dataclass(frozen=True)
class Samples:
    """`windows` are in the order of `ids`, and `groups` names the video or speaker of each."""

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    windows: Windows

    def __len__(self) -> int:
        return len(self.ids)

    def under(self, kind: str, rate: float, seed: int) -> Windows:
        """Return what noise leaves: `steps`, `windows` or `modality:NAME[+NAME]` (their steps).

        Steps that are not valid stay so, and are not counted.
        """
        named = kind.removeprefix("modality:").split("+") if kind.startswith("modality:") else None
        kept = noise.kept_window if kind == "windows" else noise.kept_steps
        masks = np.ones(tuple(self.windows.valid.shape), np.bool_)
        for i, modality in enumerate(self.windows.rows):
            if named is None or modality in named:
                for mask, sample in zip(masks, self.ids, strict=True):
                    mask[i] = kept(seed, modality, sample, masks.shape[2], rate)
        return self.windows.under(masks)

    def only(self, modalities: Collection[str]) -> Windows:
        """Return the windows with these modalities alone."""
        keep = np.array([m in modalities for m in self.windows.rows])
        return self.windows.under(np.broadcast_to(keep[:, None], self.windows.valid.shape).copy())


def numbered(windows: Windows, first: int = 0) -> Samples:
    """Name windows by their numbers, from `first` on; each is a group of its own."""
    names = tuple(map(str, range(first, first + len(windows.labels))))
    return Samples(names, names, windows)


def together(many: Sequence[Samples]) -> Samples:
    """Return the samples one after another."""
    return Samples(
        tuple(name for samples in many for name in samples.ids),
        tuple(group for samples in many for group in samples.groups),
        joined([samples.windows for samples in many]),
    )


class DataSet(Protocol):
    """A benchmark on disk, as a config names it."""

    @property
    def name(self) -> str: ...

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes' names in the order of the labels; None where labels are numbers."""
        ...

    @property
    def outputs(self) -> int:
        """The number of classes, or 1 where labels are numbers."""
        ...

    def at(self, path: Path) -> Self:
        """Return the same data set in another folder."""
        ...

    def load(self, split: Split) -> Samples:
        """Return the samples of a split. Raises UserError when the data cannot be used."""
        ...

    def groups(self) -> dict[Split, set[str]]:
        """Return the videos or speakers of each split, found without computing rows."""
        ...

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        """Return the metrics of the data set's tables for outputs [n, C or 1] and labels [n]."""
        ...

    def without_words(self, split: Split, rate: float, seed: int) -> Samples:
        """Load a split with words erased before BERT sees them.

        Raises UserError where there are no words.
        """
        ...


@runtime_checkable
class DrawnData(DataSet, Protocol):
    """A data set that can draw its training windows anew in every epoch.

    What `load` gives of training is then a sample of these, for the statistics of rows.
    """

    @property
    def windows_per_epoch(self) -> int:
        """The number of windows in an epoch; 0: every epoch has the loaded ones."""
        ...

    def draw(self, keys: list[Key]) -> Windows:
        """Return the training windows of some keys, each the same whenever it is drawn."""
        ...


@runtime_checkable
class LiveData(DataSet, Protocol):
    """A data set of rows of a recognizer's own networks: a model of these can be used live."""

    @property
    def recognizer(self) -> Path | None:
        """The folder of the recognizer; None: the shipped one."""
        ...

    @property
    def rows_of(self) -> str | None:
        """The sha256 of the recognizer that made the rows; None where that is not known."""
        ...


def check_groups(data: DataSet) -> None:
    """Raise UserError where two splits share a video or speaker."""
    found = data.groups()
    for one, other in combinations(SPLITS, 2):
        if shared := found[one] & found[other]:
            raise UserError(
                f"{min(shared)} is in both {one} and {other} of {data.name}; "
                "set shared_people = true if that is meant."
            )


def windows(
    rows: Mapping[str, NDArray[np.floating[Any]]],
    valid: Mapping[str, NDArray[np.bool_]],
    labels: NDArray[Any],
) -> Windows:
    """Make windows of rows [n, T, dim], validity [n, T] by modality and labels [n].

    A row with NaN or infinity is not valid.

    Raises UserError where T is 0.
    """
    if not all(values.shape[1] for values in rows.values()):
        raise UserError("a window has 1 step or more.")
    clean, there = {}, []
    for modality, values in rows.items():
        good = valid[modality] & np.isfinite(values).all(axis=2)
        clean[modality] = torch.from_numpy(np.where(good[..., None], values, 0).astype(np.float32))
        there.append(good)
    return Windows(clean, torch.from_numpy(np.stack(there, 1)), torch.from_numpy(labels))


def loaded(data: DataSet, split: Split) -> Samples:
    """Return `data.load(split)`, remembered: a process that trains again would compute the same."""
    hashable: Any = data
    return _load(hashable, split)


def loaded_without_words(data: DataSet, split: Split, rate: float, seed: int) -> Samples:
    """Return `data.without_words(split, rate, seed)`, remembered."""
    hashable: Any = data
    return _without_words(hashable, split, rate, seed)


@functools.lru_cache(6)
def _load(data: Any, split: Split) -> Samples:
    samples: Samples = data.load(split)
    return samples


@functools.lru_cache(6)
def _without_words(data: Any, split: Split, rate: float, seed: int) -> Samples:
    samples: Samples = data.without_words(split, rate, seed)
    return samples


Draw = Callable[[list[Key]], Windows]
"""A function that gives the windows of some keys."""


def those_of(samples: Samples) -> Draw:
    """Return what gives the samples of keys, which are the same in every epoch."""
    windows = samples.windows
    return lambda keys: windows.part(np.array([sample for _, sample in keys]))


class SampleBatches:
    """Collates keys into windows and their noisy versions; `clean` adds the untouched one."""

    def __init__(
        self, draw: Draw, masks: Masks, rates: Sequence[float], clean: bool, seed: int
    ) -> None:
        """`draw` gives the windows; where `masks` is `rates`, a mask's rate is one of `rates`."""
        self._draw, self._clean, self._seed = draw, clean, seed
        self._kind, self._rates = masks, rates

    def __call__(self, keys: list[Key]) -> Batch:
        """Return plain tensors, which Lightning can move to a device.

        Raises UserError where modalities shall be missing and there is only one.
        """
        chosen = self._draw(keys)
        _, m, t = chosen.valid.shape
        if self._kind == "conditions" and m < 2:
            raise UserError("where modalities shall be missing, the data need two or more.")
        versions = []
        if self._kind == "windows":
            versions.append([noise.type_1(m, t, self._seed, *key) for key in keys])
            versions.append([noise.type_2(m, t, self._seed, *key)[0] for key in keys])
        elif self._kind == "rates":
            versions.append([noise.rate_1(m, t, self._seed, *key, self._rates) for key in keys])
            versions.append([noise.rate_2(m, t, self._seed, *key, self._rates)[0] for key in keys])
        elif self._kind == "conditions":
            versions.append([noise.condition(m, t, self._seed, *key) for key in keys])
        if self._clean or not versions:
            versions.append([np.ones((m, t), np.bool_)] * len(keys))
        masks = torch.from_numpy(np.array(versions))
        erased = masks[1] if len(masks) > 1 else masks[0]
        noisy = (chosen.valid & ~erased).any(2)
        return chosen.rows, chosen.valid, chosen.labels, masks, noisy
