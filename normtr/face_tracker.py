"""Finds the faces in the pictures of one source, most of them in a small part of the picture."""

from __future__ import annotations

from normtr.face_detector import DetectedFace, FaceDetector, Image, Region
from normtr.spec import FaceSpec

MARGIN = 1 / 16
"""A face that comes nearer than this share of a region's side to its edge is leaving it."""


class FaceTracker:
    """Looks at a region around a face that is alone in view, and by need at the whole picture.

    The whole picture is looked at every `full_every` steps, when the face is not found in its
    region any more, and always while several faces are in view or none. What is found in a picture
    depends on it and on the last whole picture only. Every source has a tracker of its own.
    """

    def __init__(self, detector: FaceDetector, spec: FaceSpec) -> None:
        self._detector = detector
        self._spec = spec
        self._region: Region | None = None
        self._period = -1

    def __call__(self, frame: Image, step: int) -> list[DetectedFace]:
        """Return the faces in an RGB frame uint8 [H, W, 3] of a step, the largest first."""
        period = step // self._spec.full_every
        if self._region is None or period != self._period:
            self._period = period
            return self._anywhere(frame)
        faces = self._detector.within(frame, self._region)
        if len(faces) == 1 and self._region.holds(faces[0], MARGIN):
            return faces
        return self._anywhere(frame)

    def _anywhere(self, frame: Image) -> list[DetectedFace]:
        """Look at the whole picture, and at the region of a face that is alone there.

        The region is asked here, too, because landmarks jump between one input size and another.
        """
        faces = self._detector(frame)
        self._region = None
        if len(faces) != 1:
            return faces
        region = _around(faces[0], self._spec.region_faces)
        closer = self._detector.within(frame, region)
        if len(closer) != 1:
            return faces
        self._region = region
        return closer


def _around(face: DetectedFace, faces: float) -> Region:
    """Return the square with the face in its middle, `faces` times as long as the box's longer
    side."""
    left, top, right, bottom = face.box
    side = faces * max(right - left, bottom - top)
    return Region((left + right - side) / 2, (top + bottom - side) / 2, side)
