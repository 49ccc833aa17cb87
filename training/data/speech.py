"""Clips of acted speech: what RAVDESS and EmoDB have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from normtr.errors import UserError


@dataclass(frozen=True)
class Clip:
    """A file of one sentence."""

    path: Path
    label: int
    """Index into `normtr.spec.LABELS`."""
    speaker: str
    """A name that is unique within the data set."""


def samples(clip: Clip, rate: int) -> NDArray[np.float32]:
    """Return the clip's sound, float32 [n].

    Raises UserError when it cannot be read or is not mono at `rate` Hz.
    """
    try:
        sound, found = soundfile.read(clip.path, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise UserError(f"{clip.path} cannot be read: {error}") from None
    if found != rate or sound.ndim != 1:
        raise UserError(f"{clip.path} is not {rate} Hz mono; convert it first.")
    return np.asarray(sound)


def files(folder: Path, pattern: str) -> list[Path]:
    """Return the sorted files of a data folder. Raises UserError when there are none."""
    found = sorted(folder.glob(pattern))
    if not found:
        raise UserError(f"there is no {pattern} in {folder}; name the data folder in the config.")
    return found
