"""Five landmarks -> where the head is turned."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normtr.face import FaceEncoder
from normtr.head_pose import MODEL, head_pose
from normtr.resnet import ResNetEnsemble
from normtr.spec import FaceSpec
from normtr.torch_networks import weights_of
from tests.support.clips import portrait
from tests.support.heads import turned


@given(
    st.floats(-80, 80),
    st.floats(-80, 80),
    st.floats(-170, 170),
    st.floats(5, 300),
    st.floats(-500, 500),
)
def test_the_pose_of_a_projected_face_is_recovered(
    yaw: float, pitch: float, roll: float, size: float, x: float
) -> None:
    pose = head_pose(turned(yaw, pitch, roll, size, (x, 40.0)))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((yaw, pitch, roll), abs=1e-6)


def test_the_signs_are_those_of_the_picture() -> None:
    """A nose goes where the face turns; y points down."""
    for yaw, pitch, moves in ((20, 0, (1, 0)), (0, 20, (0, -1))):
        straight, there = (np.array(turned(*way, 0)) for way in ((0, 0), (yaw, pitch)))
        moved = (there - there[:2].mean(0))[2] - (straight - straight[:2].mean(0))[2]
        assert moved @ moves > 5
    eyes = np.array(turned(0, 0, 20))[:2]
    assert eyes[1, 1] > eyes[0, 1]


def test_a_mirrored_face_turns_and_leans_to_the_other_side() -> None:
    width = portrait().shape[1]
    encoder = FaceEncoder(FaceSpec(width=4), weights_of(ResNetEnsemble(FaceSpec(width=4), 7)))
    face = encoder(portrait()).face
    other = encoder(np.ascontiguousarray(portrait()[:, ::-1])).face
    assert face is not None
    assert other is not None
    pose, mirrored = head_pose(face.landmarks), head_pose(other.landmarks)
    assert max(abs(pose.yaw), abs(pose.pitch), abs(pose.roll)) < 15
    assert mirrored.yaw == pytest.approx(-pose.yaw, abs=5)
    assert mirrored.pitch == pytest.approx(pose.pitch, abs=5)
    assert mirrored.roll == pytest.approx(-pose.roll, abs=5)
    right, left, nose, mouth_right, mouth_left = ((width - x, y) for x, y in face.landmarks)
    exact = head_pose([left, right, nose, mouth_left, mouth_right])
    assert (exact.yaw, exact.pitch, exact.roll) == pytest.approx(
        (-pose.yaw, pose.pitch, -pose.roll)
    )


def test_landmarks_in_one_point_or_line_have_a_pose() -> None:
    assert head_pose([(3.0, 4.0)] * 5) == head_pose(turned(0, 0, 0, size=0.0))
    flat = head_pose([(float(x), 0.0) for x in MODEL[:, 0]])
    assert np.isfinite([flat.yaw, flat.pitch, flat.roll]).all()
