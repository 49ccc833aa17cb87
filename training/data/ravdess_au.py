"""RAVDESS speech by action units of the face and one coefficient of the voice a frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from training.data.folder import DATA
from training.data.given import Given, arrays, check, layout
from training.evaluation import metrics
from training.samples import SPLITS, Samples, Split, windows

CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


@dataclass(frozen=True)
class RavdessAu(Given):
    """`path/ravdess_au_mfcc.npz`, with `ids`, `au`, `audio_track`, `emotion` (1 .. 8), `actor`.

    The voice's frames are cut into T blocks of equal length (.43 s at T = 7), and a step's row is
    a block; it is valid where all its frames are of the clip (the rest is zeros). The action units are one
    vector a clip, which stands at every step that has a voice.

    There is no official split: actors 1 to 12 are trained on, 13 to 16 validate, 17 to 20 test.

    `paired` by label: while training and validating, a clip's action units are those of a random
    clip of the same label (as windows of the recognizer are made); tests keep the true pairs.
    """

    path: Path = DATA / "ravdess_au"
    steps: int = 7
    modalities: tuple[str, ...] = ("face", "voice")
    valid_actors: tuple[int, ...] = (13, 14, 15, 16)
    test_actors: tuple[int, ...] = (17, 18, 19, 20)
    paired: Literal["trial", "label"] = "trial"

    @property
    def name(self) -> str:
        return "ravdess_au"

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES

    def scores(self, outputs: NDArray[np.floating[Any]], labels: NDArray[Any]) -> dict[str, float]:
        return metrics.emotions(labels, outputs.argmax(1))

    def groups(self) -> dict[Split, set[str]]:
        actors = arrays(self._file, ["actor"])["actor"]
        return {s: {str(actor) for actor in actors[self._chosen(actors, s)]} for s in SPLITS}

    def load(self, split: Split) -> Samples:
        data = arrays(self._file, ["ids", "au", "audio_track", "emotion", "actor"])
        with layout(self._file):
            labels = data["emotion"].astype(np.int64) - 1
            found = {"face": data["au"], "voice": data["audio_track"]}
            check(self._file, data["ids"].tolist(), labels, found)
            chosen = self._chosen(data["actor"], split)
            if not len(chosen):
                raise UserError(f"{self._file} has no clip of {split}'s actors.")
            voice, spoken = self._blocks(data["audio_track"][chosen])
            units = data["au"][chosen]
            if self.paired == "label" and split != "test":
                units = units[_of_the_same_label(labels[chosen])]
            face = np.repeat(units[:, None], self.steps, axis=1)
            rows = {"face": face, "voice": voice}
            return Samples(
                tuple(data["ids"][chosen].tolist()),
                tuple(map(str, data["actor"][chosen])),
                windows(
                    {m: rows[m] for m in self.modalities},
                    dict.fromkeys(self.modalities, spoken),
                    labels[chosen],
                ),
            )

    @property
    def _file(self) -> Path:
        return self.path / "ravdess_au_mfcc.npz"

    def _chosen(self, actors: NDArray[Any], split: Split) -> NDArray[np.int64]:
        if split == "train":
            return np.flatnonzero(~np.isin(actors, [*self.valid_actors, *self.test_actors]))
        return np.flatnonzero(
            np.isin(actors, self.test_actors if split == "test" else self.valid_actors)
        )

    def _blocks(self, track: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Frames [n, frames] -> rows [n, T, frames / T, rounded up] and which are whole [n, T]."""
        n, frames = track.shape
        block = -(-frames // self.steps)
        padded = np.pad(track, ((0, 0), (0, block * self.steps - frames)))
        rows = padded.reshape(n, self.steps, block)
        return rows, (rows != 0).all(axis=2)


def _of_the_same_label(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """[n]: a random partner for each, so that every one is taken once."""
    random = np.random.default_rng(0)
    partner = np.arange(len(labels))
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        partner[mine] = random.permutation(mine)
    return partner
