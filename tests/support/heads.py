"""Landmarks of heads that are turned by known angles."""

from __future__ import annotations

import numpy as np

from normtr.head_pose import MODEL


def turned(
    yaw: float,
    pitch: float,
    roll: float,
    size: float = 40.0,
    at: tuple[float, float] = (150.0, 130.0),
) -> tuple[tuple[float, float], ...]:
    """Project the model face, nodded, then turned, then leaned by degrees; `size` px between the
    eyes when it looks into the camera."""
    (cy, cp, cr), (sy, sp, sr) = (f(np.radians([yaw, pitch, roll])) for f in (np.cos, np.sin))
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    turn = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    lean = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    points = size * (MODEL @ (lean @ turn @ nod).T)[:, :2] + at
    return tuple((float(x), float(y)) for x, y in points)
