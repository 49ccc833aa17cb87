"""FER2013: 48 x 48 grey faces with one of seven labels (Goodfellow et al., 2013)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

TRAINING, PUBLIC_TEST = 0, 1


@dataclass(frozen=True)
class Faces:
    """`images` uint8 [n, 48, 48]; `labels` int64 [n], index into `normtr.spec.LABELS`."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def load(path: Path, split: int) -> Faces:
    """Read one split of `fer2013.npz`, whose faces are plain `images` or one `faces_jpeg`.

    Raises ValueError when the file has neither or a split that is empty.
    """
    with np.load(path, allow_pickle=False) as file:
        labels = file["label"].astype(np.int64)
        if "images" in file:
            images = file["images"]
        elif "faces_jpeg" in file:
            sheet = cv2.imdecode(file["faces_jpeg"], cv2.IMREAD_GRAYSCALE)
            if sheet is None:
                raise ValueError(f"the pictures of {path} cannot be decoded")
            across = sheet.shape[1] // 48
            images = sheet.reshape(-1, 48, across, 48).swapaxes(1, 2).reshape(-1, 48, 48)
        else:
            raise ValueError(f"{path} has neither 'images' nor 'faces_jpeg'")
        chosen = np.flatnonzero(file["split"] == split)
    if not len(chosen):
        raise ValueError(f"{path} has no face of split {split}")
    return Faces(np.ascontiguousarray(images[: len(labels)][chosen]), labels[chosen])
