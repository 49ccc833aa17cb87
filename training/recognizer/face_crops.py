"""Crops labelled pictures of faces as the live pipe would crop them in a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from normtr.face import align
from normtr.face_detector import DetectedFace, FaceDetector, Image
from normtr.spec import FaceSpec
from normtr.thread_limits import one_thread_each
from training import run_folder
from training.data.face_pictures import UNKNOWN, FacePictures

PHOTOGRAPH_PX = 320
FACE_PX = 240
"""The side of a picture in the photograph."""


@dataclass(frozen=True)
class FaceCrops:
    """Aligned grey crops of pictures, as the face network sees them, with what people say."""

    images: NDArray[np.uint8]
    """uint8 [n, crop_px, crop_px]."""
    shares: NDArray[np.float32]
    """float32 [n, 7], as of `FacePictures`."""
    labels: NDArray[np.int64]
    """int64 [n], as of `FacePictures`."""
    names: tuple[str, ...]

    def part(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> FaceCrops:
        names = tuple(np.array(self.names)[chosen].tolist())
        return FaceCrops(self.images[chosen], self.shares[chosen], self.labels[chosen], names)

    @property
    def labelled(self) -> FaceCrops:
        """Those that have a label."""
        return self.part(self.labels != UNKNOWN)


def joined(sets: Sequence[FaceCrops]) -> FaceCrops:
    return FaceCrops(
        np.concatenate([s.images for s in sets]),
        np.concatenate([s.shares for s in sets]),
        np.concatenate([s.labels for s in sets]),
        tuple(name for s in sets for name in s.names),
    )


def cropped(pictures: FacePictures, spec: FaceSpec, cache: Path | None = None) -> FaceCrops:
    """Crop each picture by the landmarks that the detector finds in a photograph of it.

    Where it finds none, the crop is where most faces of this set are. `cache` is a file that keeps
    the crops, so that they are made once; with None they are not kept.
    """
    if cache is not None and cache.is_file():
        with np.load(cache) as kept:
            images = kept["images"]
    else:
        one_thread_each()
        detector = FaceDetector(spec)
        images = np.empty((len(pictures.labels), spec.crop_px, spec.crop_px), np.uint8)
        for i, picture in enumerate(tqdm(pictures.images, "detecting", mininterval=2)):
            images[i] = align(picture, _detected(picture, detector) or _usual(pictures), spec)
        if cache is not None:
            run_folder.write_arrays(cache, {"images": images})
    return FaceCrops(images, pictures.shares, pictures.labels, pictures.names)


def _detected(picture: Image, detector: FaceDetector) -> DetectedFace | None:
    """Return the largest face, in pixels of the picture, that is found in a photograph of it.

    There the picture is enlarged and has a black border: around a repeated one faces are lost.
    """
    colour = picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    large = cv2.resize(colour, (FACE_PX, FACE_PX), interpolation=cv2.INTER_CUBIC)
    around = (PHOTOGRAPH_PX - FACE_PX) // 2
    photograph = cv2.copyMakeBorder(large, *(around,) * 4, cv2.BORDER_CONSTANT)
    seen = detector(np.asarray(photograph, np.uint8))
    return _moved(seen[0], around, len(picture) / FACE_PX) if seen else None


def _moved(face: DetectedFace, by: float, scale: float) -> DetectedFace:
    left, top, right, bottom = ((x - by) * scale for x in face.box)
    landmarks = tuple(((x - by) * scale, (y - by) * scale) for x, y in face.landmarks)
    return DetectedFace((left, top, right, bottom), landmarks, face.score)


def _usual(pictures: FacePictures) -> DetectedFace:
    """Return a face that fills the picture and has its landmarks where most faces have them."""
    height, width = pictures.images.shape[1:3]
    return DetectedFace((0.0, 0.0, float(width), float(height)), pictures.landmarks, 1.0)
