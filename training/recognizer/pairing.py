"""Windows paired by label: faces, a voice and words of different people on one time grid.

No data set here has face, voice and words of one person. A window of a class expresses it in
each modality with probability 0.7 (at least in one), in one stretch of at least a second whose
onset jitters by half a second between modalities; elsewhere rows are neutral or missing.

Where a bank has people who are seen and heard at once, some training windows are of one of them:
they end within a clip, and are of one who is known to the running baseline well, a little or not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from normtr.spec import LABELS, MODALITIES
from training import noise
from training.recognizer.gap_traces import Traces
from training.recognizer.row_bank import Bank
from training.recognizer.true_pairs import NEUTRAL, TruePairs, crowd
from training.windows import Key, Windows

EXPRESSES = 0.7
JITTER = 2
"""A modality's stretch may begin this many steps earlier or later."""
SHORTEST = 4
"""The shortest stretch has this many steps."""
WORD_STEPS = 1.6
"""The mean distance of words in steps, which is 2.5 words a second."""
LATEST = 6
"""Words of up to this many last steps are not recognised yet."""
ABSENT_SHARE = 0.4
"""The share of training windows in which each modality may be missing throughout."""
TRACED_SHARE = 0.3
"""The share of training windows that have the gaps of a recorded stream."""
LOST_SHARE = 0.5
"""The share of training windows that lose stretches of any length, as in the test."""

TRUE_SHARE = 0.3
"""The share of training windows that are of one person who is seen and heard."""

STRANGE_SCALE, STRANGE_BIAS = 0.2, 0.4
"""How much a person's logits differ from those of others: log of their scale, and their mean."""

Row = NDArray[np.floating[Any]]
Column = list[Row | None]


@dataclass(frozen=True)
class Paired:
    """A window: `rows` float32 [T, dim] by modality, `valid` bool [M, T], its label, and `shown`
    int64 [M]: what each modality expresses, the label or neutral."""

    rows: dict[str, NDArray[np.float32]]
    valid: NDArray[np.bool_]
    label: int
    shown: NDArray[np.int64]


class Pairing:
    """Draws windows from a bank as pure functions of (seed, epoch, sample)."""

    def __init__(self, bank: Bank, steps: int, seed: int, strange: bool = False) -> None:
        """`strange`: windows are to learn from. Every modality is of yet another person, whose
        logits lie elsewhere, since there are few people in a bank; and some windows are of the
        bank's pairs."""
        self._bank, self._steps, self._seed, self._strange = bank, steps, seed, strange
        self._pairs = TruePairs(bank.pairs, crowd(bank), steps) if strange and bank.pairs else None

    @cached_property
    def _of(self) -> dict[str, list[NDArray[np.int64]]]:
        """The numbers of the pictures, clips and utterances of each label."""
        labels = (self._bank.face_labels, self._bank.voices.labels, self._bank.texts.labels)
        return {
            m: [np.flatnonzero(of == c) for c in range(len(LABELS))]
            for m, of in zip(MODALITIES, labels, strict=True)
        }

    def __call__(self, epoch: int, sample: int) -> Paired:
        """Draw a window. Labels go round with `sample`: any seven in a row hold every class."""
        random = noise.generator(self._seed, epoch, sample, noise.WINDOW)
        label, steps = sample % len(LABELS), self._steps
        shows = random.random(len(MODALITIES)) < EXPRESSES
        while not shows.any():
            shows = random.random(len(MODALITIES)) < EXPRESSES
        if self._pairs and label in self._pairs.labels and random.random() < TRUE_SHARE:
            rows, valid = self._pairs(random, label)
            shown = np.full(len(MODALITIES), label)
            return self._strangely(random, Paired(rows, valid, label, shown))
        length = int(random.integers(SHORTEST, steps + 1))
        onset = int(random.integers(0, steps - length + 1))
        shown = np.where(shows, label, NEUTRAL)
        make = {"face": self._faces, "voice": self._voice, "text": self._text}
        rows, valid = {}, np.zeros((len(MODALITIES), steps), np.bool_)
        for i, modality in enumerate(MODALITIES):
            begin = int(np.clip(onset + random.integers(-JITTER, JITTER + 1), 0, steps - SHORTEST))
            column = make[modality](random, int(shown[i]), begin, min(steps, begin + length))
            rows[modality] = np.zeros((steps, self._bank.dims[modality]), np.float32)
            for step, row in enumerate(column):
                if row is not None:
                    rows[modality][step], valid[i, step] = row, True
        drawn = Paired(rows, valid, label, shown)
        return self._strangely(random, drawn) if self._strange else drawn

    def _strangely(self, random: np.random.Generator, drawn: Paired) -> Paired:
        """Move the logits of each modality to where those of yet another person lie."""
        rows = {}
        for (modality, x), there in zip(drawn.rows.items(), drawn.valid, strict=True):
            scale = np.exp(STRANGE_SCALE * random.standard_normal())
            bias = STRANGE_BIAS * random.standard_normal(x.shape[1])
            moved_x = (scale * x + bias).astype(np.float32)
            rows[modality] = np.where(there[:, None], moved_x, x)
        return replace(drawn, rows=rows)

    def _pick(self, random: np.random.Generator, modality: str, label: int) -> int:
        return int(random.choice(self._of[modality][label]))

    def _faces(self, random: np.random.Generator, label: int, begin: int, end: int) -> Column:
        """Draw at most three pictures, each held; a row is the mean of two versions of a picture."""
        steps = self._steps
        picture = np.full(steps, self._pick(random, "face", NEUTRAL))
        picture[begin:end] = self._pick(random, "face", label)
        if random.random() < 0.5:
            middle = int(random.integers(begin, end))
            picture[middle:end] = self._pick(random, "face", label)
        versions = self._bank.faces.shape[1]
        two = random.integers(0, versions, (steps, 2))
        rows = self._bank.faces[picture[:, None], two].astype(np.float32).mean(1)
        gone = random.random(steps) < 0.03
        if random.random() < 0.3:
            first = int(random.integers(0, steps))
            gone[first : first + int(random.integers(1, 7))] = True
        return [None if gone[t] else rows[t] for t in range(steps)]

    def _voice(self, random: np.random.Generator, label: int, begin: int, end: int) -> Column:
        """Draw speech of the label in the stretch, and neutral speech or silence around it."""
        column: Column = [None] * self._steps
        if label != NEUTRAL or random.random() < 0.8:
            self._speak(random, column, label, begin, end)
        if random.random() < 0.4:
            self._speak(random, column, NEUTRAL, 0, begin)
        if random.random() < 0.4:
            self._speak(random, column, NEUTRAL, end, self._steps)
        if random.random() < 0.1:
            first, length = int(random.integers(0, self._steps)), int(random.integers(2, 7))
            for t in range(first, min(first + length, self._steps)):
                column[t] = None
        return column

    def _speak(
        self, random: np.random.Generator, column: Column, label: int, begin: int, end: int
    ) -> None:
        """Fill steps begin..end with clips, from their first heard step, with pauses between."""
        at = begin
        while at < end:
            for row in self._bank.voices[self._pick(random, "voice", label)][: end - at]:
                column[at] = None if np.isnan(row[0]) else row
                at += 1
            at += int(random.integers(1, 6))

    def _text(self, random: np.random.Generator, label: int, begin: int, end: int) -> Column:
        """Draw an utterance of the label from `begin` on; neutral words precede it."""
        steps = self._steps
        words: list[list[Row]] = [[] for _ in range(steps)]
        if random.random() < 0.4:
            self._say(random, words, NEUTRAL, 0, begin)
        if label != NEUTRAL or random.random() < 0.8:
            self._say(random, words, label, begin, steps if random.random() < 0.5 else end)
        late = int(random.integers(0, LATEST + 1))
        column: Column = [
            np.asarray(np.mean(mine, axis=0, dtype=np.float32)) if mine else None for mine in words
        ]
        return column[: steps - late] + [None] * late

    def _say(
        self, random: np.random.Generator, words: list[list[Row]], label: int, begin: int, end: int
    ) -> None:
        """Put an utterance's words on the grid at a plausible rate, as far as they go."""
        rows = self._bank.texts[self._pick(random, "text", label)]
        places = begin + np.cumsum(random.gamma(3.0, WORD_STEPS / 3.0, len(rows)))
        for row, place in zip(rows, places, strict=True):
            if place >= end:
                return
            words[int(place)].append(row.astype(np.float32))


def draw(pairing: Pairing, keys: list[Key]) -> Windows:
    """Return the windows of some (epoch, sample) keys."""
    drawn = [pairing(epoch, sample) for epoch, sample in keys]
    return Windows(
        {m: torch.from_numpy(np.stack([d.rows[m] for d in drawn])) for m in MODALITIES},
        torch.from_numpy(np.stack([d.valid for d in drawn])),
        torch.tensor([d.label for d in drawn]),
    )


def gaps(steps: int, seed: int, key: Key, traces: Traces) -> NDArray[np.bool_]:
    """Return bool [M, T]: what absences, lost stretches and the gaps of a recorded stream leave."""
    there = noise.absent(len(MODALITIES), steps, seed, *key, share=ABSENT_SHARE)
    random = noise.generator(seed, *key, noise.GAPS)
    if random.random() < LOST_SHARE:
        rate = float(random.choice(noise.RATES[:-1]))
        there &= noise.kept_windows(seed, MODALITIES, f"{key[0]}-{key[1]}", steps, rate)
    if random.random() < TRACED_SHARE:
        there &= traces.mask(steps, random)
    return there
