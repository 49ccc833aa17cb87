"""Windows paired by label: faces, a voice and words of different people on one time grid.

No data set here has face, voice and words of one person. A window of a class expresses it in
each modality with probability 0.7 (at least in one), in one stretch of at least a second whose
onset jitters by half a second between modalities; elsewhere rows are neutral or missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from normtr.spec import LABELS, MODALITIES, FeatureSpec
from normtr.window import NONE, Row, Window, assemble
from training import noise
from training.rows import Bank
from training.windows import Batch, Key, Windows

NEUTRAL = LABELS.index("neutral")
EXPRESSES = 0.7
JITTER = 2
"""Steps by which a modality's stretch may begin earlier or later."""
SHORTEST = 4
"""Steps of the shortest stretch."""
WORD_STEPS = 1.6
"""Mean distance of words in steps: 2.5 words a second."""
LATEST = 6
"""Words of up to so many last steps are not recognised yet."""
ABSENT_SHARE = 0.4
"""Share of the training windows in which each modality may be missing throughout."""

Column = list[tuple[str, Row | None]]


@dataclass(frozen=True)
class Paired:
    """A window, its label, and which modalities express it."""

    window: Window
    label: int
    expresses: dict[str, bool]


class Pairing:
    """Draws windows from a bank as pure functions of (seed, epoch, sample)."""

    def __init__(self, bank: Bank, spec: FeatureSpec, seed: int) -> None:
        self._bank, self._spec, self._seed = bank, spec, seed

    @cached_property
    def _of(self) -> dict[str, list[NDArray[np.int64]]]:
        """Numbers of the pictures, clips and utterances of each label."""
        labels = (self._bank.face_labels, self._bank.voices.labels, self._bank.texts.labels)
        return {
            m: [np.flatnonzero(of == c) for c in range(len(LABELS))]
            for m, of in zip(MODALITIES, labels, strict=True)
        }

    def __call__(self, epoch: int, sample: int) -> Paired:
        """The label goes round with `sample`, so any seven in a row hold every class."""
        random = noise.generator(self._seed, epoch, sample, noise.WINDOW)
        label, steps = sample % len(LABELS), self._spec.steps
        shows = random.random(len(MODALITIES)) < EXPRESSES
        while not shows.any():
            shows = random.random(len(MODALITIES)) < EXPRESSES
        length = int(random.integers(SHORTEST, steps + 1))
        onset = int(random.integers(0, steps - length + 1))
        columns = {}
        make = {"face": self._faces, "voice": self._voice, "text": self._text}
        for modality, express in zip(MODALITIES, shows, strict=True):
            begin = int(np.clip(onset + random.integers(-JITTER, JITTER + 1), 0, steps - SHORTEST))
            shown = label if express else NEUTRAL
            columns[modality] = make[modality](random, shown, begin, min(steps, begin + length))
        window = assemble(self._spec, 0, columns)
        return Paired(window, label, dict(zip(MODALITIES, map(bool, shows), strict=True)))

    def _pick(self, random: np.random.Generator, modality: str, label: int) -> int:
        return int(random.choice(self._of[modality][label]))

    def _faces(self, random: np.random.Generator, label: int, begin: int, end: int) -> Column:
        """At most three pictures, each held; a row is the mean of two versions of a picture."""
        steps = self._spec.steps
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
        return [("no_face", None) if gone[t] else (NONE, rows[t]) for t in range(steps)]

    def _voice(self, random: np.random.Generator, label: int, begin: int, end: int) -> Column:
        """Speech of the label in the stretch; before and after it neutral speech or silence."""
        column: Column = [("silence", None)] * self._spec.steps
        if label != NEUTRAL or random.random() < 0.8:
            self._speak(random, column, label, begin, end)
        if random.random() < 0.4:
            self._speak(random, column, NEUTRAL, 0, begin)
        if random.random() < 0.4:
            self._speak(random, column, NEUTRAL, end, self._spec.steps)
        if random.random() < 0.1:
            first, length = int(random.integers(0, self._spec.steps)), int(random.integers(2, 7))
            for t in range(first, min(first + length, self._spec.steps)):
                column[t] = ("muted", None)
        return column

    def _speak(
        self, random: np.random.Generator, column: Column, label: int, begin: int, end: int
    ) -> None:
        """Fill steps begin..end with clips, from their first heard step, with pauses between."""
        at = begin
        while at < end:
            clip = self._bank.voices[self._pick(random, "voice", label)]
            heard = np.flatnonzero(clip.any(axis=1))
            if not len(heard):
                return
            for row in clip[heard[0] : heard[-1] + 1][: end - at]:
                column[at] = (NONE, row.astype(np.float32)) if row.any() else ("silence", None)
                at += 1
            at += int(random.integers(1, 6))

    def _text(self, random: np.random.Generator, label: int, begin: int, end: int) -> Column:
        """An utterance of the label from `begin` on, neutral words before it, the last ones late."""
        steps = self._spec.steps
        words: list[list[Row]] = [[] for _ in range(steps)]
        if random.random() < 0.4:
            self._say(random, words, NEUTRAL, 0, begin)
        if label != NEUTRAL or random.random() < 0.8:
            self._say(random, words, label, begin, steps if random.random() < 0.5 else end)
        late = int(random.integers(0, LATEST + 1))
        column: Column = [
            (NONE, np.mean(mine, axis=0, dtype=np.float32)) if mine else ("no_words", None)
            for mine in words
        ]
        return column[: steps - late] + [("no_words", None)] * late

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
    """The windows of some (epoch, sample) keys."""
    drawn = [pairing(epoch, sample) for epoch, sample in keys]
    return Windows(
        {m: torch.from_numpy(np.stack([d.window.rows[m] for d in drawn])) for m in MODALITIES},
        torch.from_numpy(np.stack([d.window.valid for d in drawn])),
        torch.tensor([d.label for d in drawn]),
    )


class PairedBatches:
    """Collates keys into windows and the masks of both noise types."""

    def __init__(self, pairing: Pairing, spec: FeatureSpec, seed: int) -> None:
        self._pairing, self._spec, self._seed = pairing, spec, seed

    def __call__(self, keys: list[Key]) -> Batch:
        """Plain tensors, which Lightning can move to a device."""
        windows = draw(self._pairing, keys)
        shape = (len(MODALITIES), self._spec.steps, self._seed)
        there = np.stack([noise.absent(*shape, *key, share=ABSENT_SHARE) for key in keys])
        first = np.stack([noise.type_1(*shape, *key) for key in keys])
        second = np.stack([noise.type_2(*shape, *key)[0] for key in keys])
        masks = torch.from_numpy(np.stack([first & there, second & there]))
        noisy = torch.from_numpy(~second.all(axis=2))
        return windows.rows, windows.valid, windows.labels, masks, noisy
