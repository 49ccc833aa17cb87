"""RAVDESS speech, given as action units of the face and one coefficient of the voice per frame."""

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
    """The arrays `ids`, `au`, `audio_track`, `emotion` (1 .. 8) and `actor` of ravdess_au_mfcc.npz.

    The voice's frames are cut into T blocks of equal length (.43 s at T = 7), and a step's row is
    a block. It is valid when the clip fills all its frames (zeros come after the clip). Each clip
    has one vector of action units, which is repeated at every step that has a voice.

    There is no official split. By default actors 13 to 16 validate, 17 to 20 test, and the others
    are trained on.

    With `paired = "label"` the action units of a training or validation clip come from a random
    clip with the same label, like the windows of the recognizer; tests keep the true pairs.
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
        """Cut frames [n, frames] into rows [n, T, frames / T rounded up].

        Also return which rows are whole, bool [n, T].
        """
        n, frames = track.shape
        block = -(-frames // self.steps)
        padded = np.pad(track, ((0, 0), (0, block * self.steps - frames)))
        rows = padded.reshape(n, self.steps, block)
        return rows, (rows != 0).all(axis=2)


def _of_the_same_label(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw for each clip a random partner [n] with its label; every clip is taken exactly once."""
    random = np.random.default_rng(0)
    partner = np.arange(len(labels))
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        partner[mine] = random.permutation(mine)
    return partner
