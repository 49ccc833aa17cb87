"""FER2013: 48 x 48 grey faces with one of seven labels (Goodfellow et al., 2013).

If FERPlus's votes of ten raters are there (Barsoum et al., ICMI 2016), the majority is the label.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from normtr.spec import LABELS

TRAINING, PUBLIC_TEST = 0, 1
VOTED = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear")
"""FERPlus's first columns. Contempt, unknown and no face follow, which are not among our labels."""
UNKNOWN = -1
"""The label of a face that is left out."""
MAJORITY = 5
"""At least this many of the ten raters must agree."""


@dataclass(frozen=True)
class Faces:
    """Grey faces with their labels."""

    images: NDArray[np.uint8]
    """uint8 [n, 48, 48]."""
    labels: NDArray[np.int64]
    """int64 [n], indices into `normtr.spec.LABELS`."""
    numbers: NDArray[np.int64]
    """int64 [n]: each picture's place in its split."""

    def part(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Faces:
        return Faces(self.images[chosen], self.labels[chosen], self.numbers[chosen])


def load(path: Path, split: int) -> Faces:
    """Read one split of `fer2013.npz`, whose faces are plain `images` or one JPEG `faces_jpeg`.

    If it has `votes` int8 [N, 10] instead of `label`, faces without a majority are left out, and so
    are pictures that occur twice (`repeat`, `copy_of_training`). Raises UserError when the file
    cannot be read or has no face of the split.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            labels = _voted(file) if "votes" in file else file["label"].astype(np.int64)
            images = file["images"] if "images" in file else _cut(file["faces_jpeg"])
            chosen = np.flatnonzero((file["split"] == split) & (labels != UNKNOWN))
        images = np.ascontiguousarray(images[: len(labels)][chosen])
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, TypeError, KeyError, IndexError, EOFError, zipfile.BadZipFile, cv2.error):
        raise UserError(
            f"{path} cannot be read as FER2013: an .npz file is wanted with the arrays `images` "
            "(uint8 [n, 48, 48], grey) or `faces_jpeg`, `label` or FERPlus's `votes`, and `split`."
        ) from None
    if images.shape != (len(chosen), 48, 48) or images.dtype != np.uint8:
        raise UserError(f"{path} cannot be read as FER2013: its pictures are not 48 x 48 grey.")
    if not len(chosen):
        raise UserError(f"{path} has no face of split {split}.")
    if not set(labels[chosen].tolist()) <= set(range(len(LABELS))):
        raise UserError(f"{path} has labels that are none of the seven.")
    return Faces(images, labels[chosen], np.arange(len(chosen)))


def _voted(file: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return the labels [N] by majority; UNKNOWN if there is none or the picture is a copy."""
    votes = file["votes"][:, : len(VOTED)]
    labels = np.array([LABELS.index(name) for name in VOTED])[votes.argmax(1)]
    most = votes.max(1)
    alone = (votes == most[:, None]).sum(1) == 1
    copies = file["repeat"].astype(np.bool_) | file["copy_of_training"].astype(np.bool_)
    return np.where((most >= MAJORITY) & alone & ~copies, labels, UNKNOWN).astype(np.int64)


def _cut(jpeg: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut one JPEG with many pictures, row by row, into uint8 [places, 48, 48]."""
    sheet = cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE)
    if sheet is None:
        raise ValueError("its pictures cannot be decoded")
    across = sheet.shape[1] // 48
    cut = sheet.reshape(-1, 48, across, 48).swapaxes(1, 2).reshape(-1, 48, 48)
    return np.asarray(cut, np.uint8)
