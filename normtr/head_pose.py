"""Estimates from the five landmarks where a head is turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MODEL = np.array(
    [[-0.5, 0.0, 0.0], [0.5, 0.0, 0.0], [0.0, 0.6, -0.43], [-0.42, 1.1, 0.0], [0.42, 1.1, 0.0]]
)
"""A rigid face: x to the right, y down and z away, in eye distances. Two eyes, nose, mouth corners.

Its front is what CenterFace sees of people who look into a camera (medians over 45 clips), with
which they have pitch 0. The nose stands out by what left the least error over RAF-DB's faces.
"""
_CENTRED = MODEL - MODEL.mean(0)
_INVERSE = np.linalg.pinv(_CENTRED)


@dataclass(frozen=True)
class HeadPose:
    """Angles in degrees; a face that looks into the camera has 0, 0, 0.

    The head first nods by `pitch`, then turns by `yaw`, and then leans by `roll`.
    """

    yaw: float
    """It is positive when the face is turned to the picture's right."""
    pitch: float
    """It is positive when the face looks up."""
    roll: float
    """It is positive when the head leans clockwise."""


def head_pose(landmarks: Sequence[tuple[float, float]]) -> HeadPose:
    """Return the pose of a face from its eyes, nose and mouth corners, five (x, y).

    The least-squares affine camera is replaced by the nearest scaled rotation (weak perspective:
    the distance to the camera is large against the depth of a face; DeMenthon & Davis, IJCV 15,
    1995). Landmarks in one point have pose 0, 0, 0.
    """
    points = np.asarray(landmarks, np.float64)
    camera = (_INVERSE @ (points - points.mean(0))).T
    if not camera.any():
        return HeadPose(0.0, 0.0, 0.0)
    left, _, right = np.linalg.svd(camera, full_matrices=False)
    across, down = left @ right
    away = np.cross(across, down)
    yaw = np.arcsin(np.clip(away[0], -1.0, 1.0))
    pitch, roll = -np.arctan2(away[1], away[2]), np.arctan2(down[0], across[0])
    return HeadPose(*(float(angle) for angle in np.degrees([yaw, pitch, roll])))
