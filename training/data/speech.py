"""Clips of acted speech: what their corpora have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from normtr.errors import UserError
from normtr.media import Media, Piece
from normtr.sound import SoundTrack
from training.data.files_inside import files_inside


@dataclass(frozen=True)
class Clip:
    """A file of one sentence."""

    path: Path
    label: int
    """Index into `normtr.spec.LABELS`."""
    speaker: str
    """A name that is unique within the corpus."""
    corpus: str

    @property
    def person(self) -> str:
        """A name of the speaker that is unique over all corpora."""
        return f"{self.corpus} {self.speaker}"


def samples(clip: Clip, rate: int) -> NDArray[np.float32]:
    """Return the clip's sound, float32 [n].

    The sound of a video is resampled as it is live. Raises UserError when it cannot be read, or
    when a file of sound is not mono at `rate` Hz.
    """
    if clip.path.suffix.lower() == ".mp4":
        return _of_video(clip.path, rate)
    try:
        sound, found = soundfile.read(clip.path, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise UserError(f"{clip.path} cannot be read: {error}") from None
    if found != rate or sound.ndim != 1:
        raise UserError(f"{clip.path} is not {rate} Hz mono; convert it first.")
    return np.asarray(sound)


def _of_video(path: Path, rate: int) -> NDArray[np.float32]:
    track = SoundTrack(rate)
    with Media(str(path)) as media:
        placed = [
            piece
            for item in media
            if isinstance(item, Piece)
            for piece in track.push(item.at_ns, item.samples, item.rate)
        ]
    placed += track.flush()
    if not placed:
        raise UserError(f"{path} has no sound.")
    sound = np.zeros(placed[-1].begin + len(placed[-1].samples), np.float32)
    for piece in placed:
        sound[piece.begin : piece.begin + len(piece.samples)] = piece.samples
    return sound


def files(folder: Path, kind: str) -> list[Path]:
    """Return the sorted files of a kind, such as `.flac`. Raises UserError when there are none."""
    found = files_inside(folder, (kind,))
    if not found:
        raise UserError(f"there is no {kind} file in {folder}; name the data folder in the config.")
    return found
