"""Windows of people who are seen and heard at once, as far as a running baseline knows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from normtr.crowd import Crowd, Spread, moved
from normtr.modality import Modality
from normtr.spec import LABELS, MODALITIES
from training.recognizer.row_bank import Bank, Pairs, Rows
from training.windows import Windows

KNOWN_SHARE = 0.5
"""The share of training windows in which a running baseline knows something of the person."""
BEFORE_SHARE = 0.5
"""The share of training windows in which the person was there before the clip, and neutral."""
NEUTRAL = LABELS.index("neutral")


def crowd(bank: Bank) -> Crowd:
    """Return the spread of what the bank's faces and voices say; every label weighs as much."""
    voices = bank.voices
    labels = np.repeat(voices.labels, np.diff(voices.offsets))
    return {
        Modality.FACE.value: _spread(bank.faces[:, 0], bank.face_labels),
        Modality.VOICE.value: _spread(voices.values, labels),
    }


def _spread(rows: Rows, labels: NDArray[np.int64]) -> Spread:
    there = ~np.isnan(rows).any(1)
    rows, labels = rows[there].astype(np.float64), labels[there]
    weight = 1 / np.bincount(labels)[labels]
    mean = np.average(rows, axis=0, weights=weight)
    deviation = np.sqrt(np.average((rows - mean) ** 2, axis=0, weights=weight))
    return Spread(tuple(mean.tolist()), tuple(deviation.tolist()))


class TruePairs:
    """Draws windows that end within a clip of a person."""

    def __init__(self, pairs: Pairs, crowd: Crowd, steps: int) -> None:
        self._pairs, self._crowd, self._steps = pairs, crowd, steps
        self._columns = {Modality.FACE.value: pairs.faces, Modality.VOICE.value: pairs.voices}
        self._moments = {
            (m, person): _moments([column[i] for i in self._of(person)])
            for m, column in self._columns.items()
            for person in np.unique(pairs.people).tolist()
        }
        self.labels = frozenset(pairs.faces.labels.tolist())
        """The labels of which there are clips."""

    def __call__(
        self, random: np.random.Generator, label: int
    ) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.bool_]]:
        """Return rows float32 [T, C] by modality and what is there, bool [M, T]."""
        number = int(random.choice(np.flatnonzero(self._pairs.faces.labels == label)))
        person = str(self._pairs.people[number])
        calm = self._of(person, NEUTRAL)
        before = None
        if len(calm) and random.random() < BEFORE_SHARE:
            before = int(random.choice(calm))
        last = int(random.integers(1, len(self._pairs.faces[number]) + 1))
        known = random.random() if random.random() < KNOWN_SHARE else 0.0
        rows = {m: np.zeros((self._steps, len(LABELS)), np.float32) for m in MODALITIES}
        there = np.zeros((len(MODALITIES), self._steps), np.bool_)
        for m, column in self._columns.items():
            shown = column[number][:last]
            if before is not None:
                shown = np.concatenate([column[before], shown])
            shown = shown[-self._steps :]
            of = known * self._moments[m, person] + (1 - known) * self._crowd[m].moments
            heard = ~np.isnan(shown[:, 0])
            at = self._steps - len(shown) + np.flatnonzero(heard)
            rows[m][at] = moved(shown[heard], Spread.of_moments(of), self._crowd[m])
            there[MODALITIES.index(m), at] = True
        return rows, there

    def _of(self, person: str, label: int | None = None) -> NDArray[np.int64]:
        mine = self._pairs.people == person
        return np.flatnonzero(mine if label is None else mine & (self._pairs.faces.labels == label))


def _moments(sequences: Sequence[Rows]) -> NDArray[np.float64]:
    """Return the means of all rows and of their squares, [2, C]."""
    rows = np.concatenate(sequences)
    rows = rows[~np.isnan(rows[:, 0])].astype(np.float64)
    return np.stack([rows.mean(0), (rows**2).mean(0)])


def every_step(pairs: Pairs, steps: int) -> tuple[Windows, NDArray[np.int64]]:
    """Return the window that ends with each step of each clip, as of files, and its clip [n]."""
    clip = np.repeat(np.arange(len(pairs.people)), np.diff(pairs.faces.offsets))
    columns = {Modality.FACE.value: pairs.faces, Modality.VOICE.value: pairs.voices}
    rows = {m: np.zeros((len(clip), steps, len(LABELS)), np.float32) for m in MODALITIES}
    there = np.zeros((len(clip), len(MODALITIES), steps), np.bool_)
    for m, column in columns.items():
        for i, number in enumerate(clip):
            begin, end = int(column.offsets[number]), i + 1
            shown = column.values[max(begin, end - steps) : end]
            heard = ~np.isnan(shown[:, 0])
            at = steps - len(shown) + np.flatnonzero(heard)
            rows[m][i, at] = shown[heard]
            there[i, MODALITIES.index(m), at] = True
    return (
        Windows(
            {m: torch.from_numpy(x) for m, x in rows.items()},
            torch.from_numpy(there),
            torch.from_numpy(pairs.faces.labels[clip]),
        ),
        clip,
    )
