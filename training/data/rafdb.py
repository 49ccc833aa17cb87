"""RAF-DB, basic emotions: aligned colour pictures from the web (Li, Deng and Du, CVPR 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from normtr.spec import LABELS
from training.data.face_pictures import BadPictures, FacePictures

SIDE_PX = 100
LANDMARKS = ((27.1, 33.7), (71.9, 33.7), (49.5, 57.1), (31.6, 74.1), (67.4, 74.1))
"""Medians of what our detector finds, made symmetrical."""


def read(file: Mapping[str, NDArray[Any]], split: int) -> FacePictures:
    """Read one split from the arrays of `rafdb.npz`.

    `jpeg` holds the files' bytes one after the other, and `offset` [N + 1] where each begins.
    Raises BadPictures for a picture of another size or a label that is none of the seven.
    """
    chosen = np.flatnonzero(file["split"] == split)
    labels = file["label"][chosen].astype(np.int64)
    if not set(labels.tolist()) <= set(range(len(LABELS))):
        raise BadPictures("a label is none of the seven")
    jpeg, offset = file["jpeg"], file["offset"]
    images = np.empty((len(chosen), SIDE_PX, SIDE_PX, 3), np.uint8)
    for i, number in enumerate(chosen):
        picture = cv2.imdecode(jpeg[offset[number] : offset[number + 1]], cv2.IMREAD_COLOR_RGB)
        if picture is None or picture.shape != images.shape[1:]:
            raise BadPictures(f"its picture {number} is no JPEG of {SIDE_PX} x {SIDE_PX} pixels")
        images[i] = picture
    names = tuple(f"rafdb {name}" for name in file["name"][chosen])
    return FacePictures(
        images, np.eye(len(LABELS), dtype=np.float32)[labels], labels, names, LANDMARKS
    )
