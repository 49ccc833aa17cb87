"""Windows of people who are seen and heard at once, as far as a running baseline knows them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from normtr.crowd import Crowd, Expected
from normtr.modality import Modality
from normtr.spec import LABELS, MODALITIES
from training.recognizer.row_bank import Bank, Pairs, Ragged, Rows
from training.windows import Windows

KNOWN_SHARE = 0.5
"""The share of training windows in which a running baseline knows something of the person."""
BEFORE_SHARE = 0.5
"""The share of training windows in which the person was there before the clip, and neutral."""
NEUTRAL = LABELS.index("neutral")


def crowd(bank: Bank) -> Crowd:
    """Return what the bank's faces and voices say on average of each label."""
    voices = bank.voices
    labels = np.repeat(voices.labels, np.diff(voices.offsets))
    return {
        Modality.FACE.value: _expected(bank.faces[:, 0], bank.face_labels),
        Modality.VOICE.value: _expected(voices.values, labels),
    }


def _expected(rows: Rows, labels: NDArray[np.int64]) -> Expected:
    there = ~np.isnan(rows).any(1)
    means = [rows[there & (labels == label)].mean(0, np.float64) for label in range(len(LABELS))]
    return Expected(tuple(tuple(mean.tolist()) for mean in means))


class TruePairs:
    """Draws windows that end within a clip of a person."""

    def __init__(self, pairs: Pairs, crowd: Crowd, steps: int) -> None:
        self._pairs, self._steps = pairs, steps
        self._columns = {Modality.FACE.value: pairs.faces, Modality.VOICE.value: pairs.voices}
        self._residuals = {
            (m, person): _residual(column.part(pairs.people == person), crowd[m])
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
            heard = ~np.isnan(shown[:, 0])
            at = self._steps - len(shown) + np.flatnonzero(heard)
            rows[m][at] = shown[heard] - known * self._residuals[m, person]
            there[MODALITIES.index(m), at] = True
        return rows, there

    def _of(self, person: str, label: int | None = None) -> NDArray[np.int64]:
        mine = self._pairs.people == person
        return np.flatnonzero(mine if label is None else mine & (self._pairs.faces.labels == label))


def _residual(clips: Ragged, crowd: Expected) -> NDArray[np.float64]:
    """Return the mean [C] of what clips say beside what is expected of their labels."""
    labels = np.repeat(clips.labels, np.diff(clips.offsets))
    there = ~np.isnan(clips.values[:, 0])
    beside = clips.values[there] - np.array(crowd.mean)[labels[there]]
    return np.asarray(beside.mean(0, np.float64))


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
