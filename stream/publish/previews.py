"""Makes the topics that show a face, `er.v1.face` and `er.v1.frame`, only for subscribers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np

from normtr.checkpoint import Checkpoint
from normtr.face_detector import DetectedFace, Image
from normtr.head_pose import head_pose
from normtr.spec import LABELS
from normtr.window import Row
from stream.pipeline.events import Seen
from stream.wire import FACE, FRAME

LONGER_PX = 320
"""The longer side of a preview is at most this."""
JPEG_QUALITY = 70


class Previews:
    """Turns what the face worker saw into the bodies of messages."""

    def __init__(self, checkpoint: Checkpoint, faces: bool, frames: bool) -> None:
        """`faces` and `frames` say which of the two topics exist."""
        self._says_labels = checkpoint.labels == LABELS
        """Whether the face network knows the labels that `info` has."""
        self._weight, self._bias = (checkpoint.face[f"head.{x}"] for x in ("weight", "bias"))
        self._made = {FACE: self._face, FRAME: _frame}
        self._topics = [t for t, there in ((FACE, faces), (FRAME, frames)) if there]

    def of(self, seen: Seen, wanted: Callable[[str], bool]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield topic and body for each topic that is `wanted` now."""
        for topic in self._topics:
            if wanted(topic):
                yield topic, self._made[topic](seen)

    def _face(self, seen: Seen) -> dict[str, Any]:
        height, width = seen.image.shape[:2]
        return {
            "step": seen.step,
            "cause": seen.row.cause,
            "picture": [width, height],
            **_place(seen.row.face),
            "probabilities": self._softmax(seen.row.vector),
        }

    def _softmax(self, row: Row | None) -> list[float] | None:
        if row is None or not self._says_labels:
            return None
        logits = (self._weight @ row + self._bias).astype(np.float64)
        odds = np.exp(logits - logits.max())
        return [float(p) for p in odds / odds.sum()]


def _place(face: DetectedFace | None) -> dict[str, Any]:
    if face is None:
        return {"box": None, "landmarks": None, "score": None, "head_pose": None}
    left, top, right, bottom = face.box
    return {
        "box": [left, top, right - left, bottom - top],
        "landmarks": [list(point) for point in face.landmarks],
        "score": face.score,
        "head_pose": asdict(head_pose(face.landmarks)),
    }


def _frame(seen: Seen) -> dict[str, Any]:
    image = _small(seen.image)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return {"jpeg": jpeg.tobytes(), "width": image.shape[1], "height": image.shape[0]}


def _small(image: Image) -> Image:
    height, width = image.shape[:2]
    scale = min(1.0, LONGER_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
