"""Writes small files of labelled pictures of faces, in the form of RAF-DB's and FERPlus's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.integer]
COLUMNS = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
COLUMNS += ("unknown", "none")


def votes(*said: dict[str, int]) -> NDArray[np.int8]:
    """Return int8 [n, 10] from what raters said of each picture."""
    out = np.zeros((len(said), len(COLUMNS)), np.int8)
    for row, counts in enumerate(said):
        for name, count in counts.items():
            out[row, COLUMNS.index(name)] = count
    return out


def ferplus(
    path: Path,
    images: NDArray[np.uint8],
    voted: Ints,
    split: Sequence[int],
    repeat: Sequence[int] = (),
) -> Path:
    """Write grey `images` [n, 48, 48] in one row of one JPEG."""
    _, jpeg = cv2.imencode(".jpg", np.hstack(list(images)), [cv2.IMWRITE_JPEG_QUALITY, 100])
    count = np.arange(len(images))
    np.savez(
        path,
        faces_jpeg=jpeg,
        votes=voted,
        split=np.array(split, np.int8),
        name=count.astype(np.int32),
        repeat=np.isin(count, repeat),
        copy_of_training=np.zeros(len(images), np.bool_),
    )
    return path


def rafdb(
    path: Path, images: NDArray[np.uint8], label: Sequence[int], split: Sequence[int]
) -> Path:
    """Write RGB `images` [n, 100, 100, 3]."""
    jpeg = [cv2.imencode(".jpg", image[..., ::-1])[1] for image in images]
    np.savez(
        path,
        jpeg=np.concatenate(jpeg),
        offset=np.cumsum([0, *map(len, jpeg)]),
        label=np.array(label, np.int8),
        split=np.array(split, np.int8),
        name=np.array([f"{i:05d}.jpg" for i in range(len(images))]),
    )
    return path
