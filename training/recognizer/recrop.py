"""Crops FER2013's faces as the live pipe would crop them in photographs."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from normtr.face import align
from normtr.face_detector import FaceDetector, Image
from normtr.spec import FaceSpec
from normtr.thread_limits import one_thread_each
from training.data.fer2013 import Faces

ENLARGED = 4
"""The factor by which a picture is enlarged."""
PHOTOGRAPH_PX = 320


def photograph(picture: Image) -> Image:
    """Make a photograph, uint8 RGB [320, 320, 3], of a picture, uint8 [48, 48].

    The picture is enlarged and in the middle, and its border is repeated outwards.
    """
    large = cv2.resize(picture, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
    around = (PHOTOGRAPH_PX - len(large)) // 2
    padded = cv2.copyMakeBorder(large, *(around,) * 4, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(padded, cv2.COLOR_GRAY2RGB), np.uint8)


def recropped(faces: Faces, spec: FaceSpec) -> tuple[Faces, NDArray[np.bool_]]:
    """Return the crops of the largest face that the detector finds in each photograph.

    Also return where it found one, bool [n]. Elsewhere the picture stays as it is.
    """
    one_thread_each()
    detector = FaceDetector(spec)
    crops, found = faces.images.copy(), np.zeros(len(faces.labels), np.bool_)
    for i, picture in enumerate(tqdm(faces.images, "detecting", mininterval=2)):
        scene = photograph(picture)
        if seen := detector(scene):
            crops[i], found[i] = align(scene, seen[0], spec), True
    return Faces(crops, faces.labels, faces.numbers), found
