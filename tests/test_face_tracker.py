"""The pictures of one source -> their faces: the same as in whole pictures, at less cost."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from normtr.face_detector import DetectedFace, FaceDetector, Region
from normtr.face_tracker import FaceTracker
from normtr.spec import FaceSpec
from tests.support.clips import Image, portrait

SPEC = FaceSpec()
LAST = SPEC.full_every - 1
"""The last step before the whole picture is looked at again."""


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector(SPEC)


def scene(*places: tuple[int, int, int]) -> Image:
    """Portraits with left, top and side on a grey picture of 640 x 360."""
    image = np.full((360, 640, 3), 120, np.uint8)
    for left, top, side in places:
        tile = cv2.resize(portrait(), (side, side), interpolation=cv2.INTER_AREA)
        image[top : top + side, left : left + side] = tile
    return image


def off(one: DetectedFace, other: DetectedFace) -> float:
    """The mean distance of two faces' landmarks in eye distances."""
    apart = np.array(one.landmarks) - other.landmarks
    return float(np.abs(apart).mean()) / other.eye_distance


ALONE = (40, 30, 240)
FAR = (400, 60, 230)


@pytest.mark.parametrize("at", [(40, 30, 240), (400, 100, 200), (300, 0, 120), (0, 240, 120)])
def test_a_region_shows_the_face_that_the_whole_picture_shows(
    detector: FaceDetector, at: tuple[int, int, int]
) -> None:
    (whole,) = detector(scene(at))
    (tracked,) = FaceTracker(detector, SPEC)(scene(at), 0)
    assert off(tracked, whole) < 0.12
    assert tracked.box == pytest.approx(whole.box, abs=0.15 * at[2])


def test_boxes_of_a_region_beyond_the_picture_stay_in_it(detector: FaceDetector) -> None:
    cut = np.ascontiguousarray(scene((0, 0, 300))[60:, 70:])
    (face,) = detector.within(cut, Region(-60, -60, 300))
    left, top, right, bottom = face.box
    assert 0 <= left < right <= cut.shape[1]
    assert 0 <= top < bottom <= cut.shape[0]


def test_who_comes_in_is_noticed_at_the_next_whole_picture_and_who_leaves_at_once(
    detector: FaceDetector,
) -> None:
    track = FaceTracker(detector, SPEC)
    alone, both, empty = scene(ALONE), scene(ALONE, FAR), scene()
    assert len(track(alone, 0)) == 1
    assert [len(track(both, step)) for step in range(1, SPEC.full_every)] == [1] * LAST
    assert len(track(both, SPEC.full_every)) == 2
    assert len(track(alone, SPEC.full_every)) == 1
    assert len(track(both, SPEC.full_every + 1)) == 1
    assert track(empty, SPEC.full_every + 1) == []
    assert len(track(both, SPEC.full_every + 1)) == 2


def test_a_face_that_moves_away_is_found_where_it_is(detector: FaceDetector) -> None:
    track = FaceTracker(detector, SPEC)
    for left in (40, 100, 160, 380):
        (face,) = track(scene((left, 60, 240)), 1)
        (whole,) = detector(scene((left, 60, 240)))
        assert off(face, whole) < 0.12


def test_what_was_seen_before_the_last_whole_picture_does_not_count(
    detector: FaceDetector,
) -> None:
    one, other = FaceTracker(detector, SPEC), FaceTracker(detector, SPEC)
    for step, place in enumerate([FAR, ALONE, (60, 40, 200)]):
        one(scene(place), step)
    pictures = [scene((40 + 5 * n, 30, 240)) for n in range(SPEC.full_every)]
    for n, picture in enumerate(pictures):
        assert one(picture, SPEC.full_every + n) == other(picture, SPEC.full_every + n)


def test_a_region_costs_less_than_half_of_a_whole_picture(detector: FaceDetector) -> None:
    track, picture = FaceTracker(detector, SPEC), scene(ALONE)

    def fastest(step: int) -> float:
        return min(_seconds(track, picture, step) for _ in range(5))

    track(picture, 0)
    assert fastest(0) < 0.5 * min(_seconds(lambda p, _: detector(p), picture, 0) for _ in range(5))


def _seconds(find: object, picture: Image, step: int) -> float:
    begin = time.thread_time()
    find(picture, step)  # type: ignore[operator]
    return time.thread_time() - begin
