"""Pictures of faces, with what people say that they show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
"""The label of a picture about which too few people agree."""


class BadPictures(ValueError):
    """What is wrong with the arrays of a file of pictures, as the end of a sentence."""


@dataclass(frozen=True)
class FacePictures:
    """Pictures of one size, each of one face."""

    images: NDArray[np.uint8]
    """uint8 [n, H, W, 3], RGB, or [n, H, W], grey."""
    shares: NDArray[np.float32]
    """float32 [n, 7]: the share of people who say each of `normtr.spec.LABELS`; rows sum to 1."""
    labels: NDArray[np.int64]
    """int64 [n]: the label that most of them say, an index into `normtr.spec.LABELS`, or
    UNKNOWN."""
    names: tuple[str, ...]
    """A name of each picture, which no other set of pictures has."""
    landmarks: tuple[tuple[float, float], ...]
    """Where eyes, nose and mouth corners lie in most pictures of this set, in pixels (x, y)."""
