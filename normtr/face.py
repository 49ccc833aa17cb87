"""Turns a face that was found in a frame into an aligned grey crop, and that into a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from normtr.cause import Cause
from normtr.device import Compute, Device, Gpu, OnDevice
from normtr.engine.compiled import Compiled
from normtr.engine.face_graph import face_graph
from normtr.engine.weights import Weights
from normtr.face_detector import DetectedFace, FaceDetector, Image
from normtr.face_tracker import FaceTracker
from normtr.head_pose import head_pose
from normtr.spec import LABELS, FaceSpec


def align(frame: Image, face: DetectedFace, spec: FaceSpec) -> Image:
    """Return a grey crop uint8 [crop_px, crop_px] whose landmarks lie on the template.

    The crop is cut by a similarity transform. A large face is blurred before it is shrunk, so that
    it is not sampled coarsely.
    """
    scale = spec.crop_px / 48.0
    target = np.asarray(spec.template, np.float64) * scale
    source = np.asarray(face.landmarks, np.float64)
    matrix = _similarity(source, target)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) if frame.ndim == 3 else frame
    shrink = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if shrink < 0.75:
        sigma = 0.4 / max(shrink, 0.02)
        left, top, right, bottom = _roi(face, grey.shape, margin=0.6)
        grey = cv2.GaussianBlur(grey[top:bottom, left:right], (0, 0), sigma)
        matrix[:, 2] += matrix[:, :2] @ np.array([left, top])
    size = (spec.crop_px, spec.crop_px)
    crop = cv2.warpAffine(
        grey, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return crop.astype(np.uint8)


def _roi(face: DetectedFace, shape: tuple[int, ...], margin: float) -> tuple[int, int, int, int]:
    """Return the face's box grown by `margin` on each side, cut at the picture's edges."""
    left, top, right, bottom = face.box
    grow = margin * max(right - left, bottom - top)
    left_px, top_px = max(0, int(left - grow)), max(0, int(top - grow))
    right_px = min(shape[1], int(right + grow) + 1)
    bottom_px = min(shape[0], int(bottom + grow) + 1)
    return left_px, top_px, max(right_px, left_px + 1), max(bottom_px, top_px + 1)


def _similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the 2 x 3 similarity that maps `source` to `target` with the least squared error.

    The method is Umeyama's (IEEE PAMI 13(4), 1991), in two dimensions and without reflection.
    """
    source_mean, target_mean = source.mean(0), target.mean(0)
    a, b = source - source_mean, target - target_mean
    norm = max(float((a**2).sum()), 1e-9)
    cosine = float((a * b).sum()) / norm
    sine = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / norm
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.hstack([linear, (target_mean - linear @ source_mean)[:, None]])


def normalise(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale uint8 [..., H, W] to float32 with mean 0 and deviation 1 per crop, so that light is
    ignored."""
    x = crops.astype(np.float32)
    x -= x.mean(axis=(-2, -1), keepdims=True)
    x /= x.std(axis=(-2, -1), keepdims=True) + 4.0
    return x


def is_poor(crop: Image, face: DetectedFace, spec: FaceSpec) -> bool:
    """Return whether the face is too small, too flat or too blurred to be worth a row."""
    return (
        face.eye_distance < spec.min_eye_px
        or float(crop.std()) < spec.min_contrast
        or float(cv2.Laplacian(crop, cv2.CV_32F).var()) < spec.min_sharpness
    )


def is_turned_away(face: DetectedFace, spec: FaceSpec) -> bool:
    """Return whether the face is turned further than those that the network has learnt from."""
    pose = head_pose(face.landmarks)
    return abs(pose.yaw) > spec.max_yaw_deg or abs(pose.pitch) > spec.max_pitch_deg


@dataclass(frozen=True)
class FaceRow:
    """The result of one frame: a row float32 [dim], or None and the cause (`no_face`,
    `turned_away`, `poor_image`)."""

    cause: Cause
    vector: NDArray[np.float32] | None = None
    face: DetectedFace | None = None


class FaceEncoder:
    """Turns an RGB frame into a row, at batch size 1."""

    def __init__(self, spec: FaceSpec, weights: Weights, device: Device | None = None) -> None:
        self.spec = spec
        self._weights = weights
        self._device = device
        self._detect = FaceDetector(spec)
        self._network = OnDevice(
            device, Compiled(face_graph(weights, spec, len(LABELS))), self._there
        )

    def another(self) -> FaceEncoder:
        """Return an encoder for another thread: threads that share one take turns."""
        return FaceEncoder(self.spec, self._weights, self._device)

    def _there(self, gpu: Gpu) -> Compute:
        from normtr import torch_networks
        from normtr.resnet import ResNetEnsemble
        from normtr.torch_compute import on_gpu

        network = torch_networks.face(self._weights, self.spec)
        return on_gpu(gpu, network, ResNetEnsemble.row, fast=True)

    def __call__(self, frame: Image) -> FaceRow:
        """Return the FaceRow of the largest face in a single RGB picture uint8 [H, W, 3]."""
        return self.largest(frame, self._detect(frame))

    def largest(self, frame: Image, faces: Sequence[DetectedFace]) -> FaceRow:
        """Return the FaceRow of the first of the faces in a frame, which is the largest."""
        if not faces:
            return FaceRow(Cause.NO_FACE)
        return self.of(align(frame, faces[0], self.spec), faces[0])

    def tracker(self) -> FaceTracker:
        """Return what finds the faces in the pictures of one source; it has seen nothing yet."""
        return FaceTracker(self._detect, self.spec)

    def of(self, crop: Image, face: DetectedFace) -> FaceRow:
        """Return the FaceRow of one face and its aligned crop."""
        if is_turned_away(face, self.spec):
            return FaceRow(Cause.TURNED_AWAY, face=face)
        if is_poor(crop, face, self.spec):
            return FaceRow(Cause.POOR_IMAGE, face=face)
        return FaceRow(Cause.NONE, self.row(crop), face)

    def row(self, crop: Image) -> NDArray[np.float32]:
        """Return the row float32 [dim] of an aligned grey crop uint8 [crop_px, crop_px]."""
        row: NDArray[np.float32] = self._network(normalise(crop)[None, None])[0]
        return row
