"""FER2013 in its original grey (Goodfellow et al., 2013) with ten people's votes for each picture.

The votes are those of FERPlus (Barsoum et al., ICMI 2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from normtr.spec import LABELS, FaceSpec
from training.data.face_pictures import UNKNOWN, BadPictures, FacePictures

SIDE_PX = 48
VOTED = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear")
"""The first columns of the votes. Contempt, unknown and not a face follow, which are not among our
labels."""
RATERS = (9, 10)
"""So many people voted for a picture, fewest and most."""
MAJORITY = 5
"""At least so many must agree on a label; with as many for another one there is none."""
LANDMARKS = FaceSpec().template
"""The template is made of this set."""


def read(file: Mapping[str, NDArray[Any]], split: int) -> FacePictures:
    """Read one split from the arrays of `ferplus.npz`.

    Left out are pictures that occur twice (`repeat`, `copy_of_training`) and those for which no
    rater chose one of our labels. `faces_jpeg` is one grey JPEG of all pictures, row by row. Raises
    ValueError for votes that are not of ten raters, and for a JPEG that cannot be cut.
    """
    votes = file["votes"].astype(np.int64)
    strange = (votes < 0).any(1) | ~np.isin(votes.sum(1), RATERS)
    if votes.shape[1:] != (10,) or strange.any():
        raise BadPictures(
            f"the votes for its picture {int(strange.argmax())} are not of ten raters"
        )
    copies = file["repeat"].astype(np.bool_) | file["copy_of_training"].astype(np.bool_)
    ours = np.zeros((len(votes), len(LABELS)), np.int64)
    ours[:, [LABELS.index(name) for name in VOTED]] = votes[:, : len(VOTED)]
    chosen = np.flatnonzero((file["split"] == split) & ~copies & ours.any(1))
    images, name = _cut(file["faces_jpeg"], len(votes))[chosen], file["name"][chosen]
    ours = ours[chosen]
    return FacePictures(
        images,
        (ours / ours.sum(1, keepdims=True)).astype(np.float32),
        _majority(votes[chosen], ours),
        tuple(f"ferplus {number}" for number in name),
        LANDMARKS,
    )


def _majority(votes: NDArray[np.int64], ours: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the labels [n], or UNKNOWN where no label of ours has a majority of all votes."""
    most = votes.max(1)
    alone = (votes == most[:, None]).sum(1) == 1
    agreed = alone & (most >= MAJORITY) & (ours.max(1) == most)
    return np.where(agreed, ours.argmax(1), UNKNOWN)


def _cut(jpeg: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Cut one JPEG of many pictures, row by row, into uint8 [count, 48, 48]."""
    sheet = cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE)
    if sheet is None or sheet.shape[0] % SIDE_PX or sheet.shape[1] % SIDE_PX:
        raise BadPictures("its `faces_jpeg` is no JPEG of 48 x 48 pictures")
    across = sheet.shape[1] // SIDE_PX
    cut = sheet.reshape(-1, SIDE_PX, across, SIDE_PX).swapaxes(1, 2).reshape(-1, SIDE_PX, SIDE_PX)
    if len(cut) < count:
        raise BadPictures(f"its `faces_jpeg` has {len(cut)} pictures, not {count}")
    return np.asarray(cut[:count], np.uint8)
