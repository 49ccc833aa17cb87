"""Two people in view: one is chosen and kept, and a change is told."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest

from normtr.media import Media, Picture
from stream.pipeline.outputs import Notice
from stream.pipeline.window_assembler import Estimate
from stream.session.session import SourceConfig, open_session
from tests.support import clips
from tests.support.clips import Image

CLIP = (
    Path(__file__).parents[2]
    / "shared/data/replay_clips/LipNet__evaluation_samples_GRID_bbaf2n.mpg"
)
SIZE = (480, 270)
FPS = 8.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CLIP.is_file(), reason="../shared/data is not there"),
]

Place = tuple[float, float, float]
"""Middle and side of a square, in pixels."""
Scene = Callable[[float], tuple[Place | None, Place | None]]
"""Seconds -> where the astronaut is, and where the reader, who stands in front."""


@cache
def reader() -> tuple[Image, ...]:
    """Pictures of a person reading aloud, 200 x 200."""
    with Media(str(CLIP)) as media:
        pictures = [item.image() for item in media if isinstance(item, Picture)]
    return tuple(np.ascontiguousarray(p[67:288, 44:265]) for p in pictures[::3])


def paste(image: Image, tile: Image, place: Place) -> None:
    x, y, side = (round(value) for value in place)
    tile = cv2.resize(tile, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)
    left, top = x - side // 2, y - side // 2
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + side, SIZE[0]), min(top + side, SIZE[1])
    image[y0:y1, x0:x1] = tile[y0 - top : y1 - top, x0 - left : x1 - left]


def film(path: Path, scene: Scene, seconds: float) -> Path:
    def draw(_: tuple[int, int], at_s: float) -> Image:
        image = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
        astronaut, other = scene(at_s)
        if astronaut is not None:
            paste(image, clips.portrait()[:220, 40:260], astronaut)
        if other is not None:
            paste(image, reader()[round(at_s * FPS) % len(reader())], other)
        return image

    return clips.write(path, seconds=seconds, size=SIZE, fps=FPS, draw=draw, sound=False)


def watched(
    path: Path, person: Literal["keep", "largest", "centre"] = "keep"
) -> tuple[list[Estimate], list[float]]:
    """Estimates, and the seconds at which the person changed."""
    config = SourceConfig(source=str(path), fast=True, voice="off", text="off", person=person)
    outputs = [output for _, output in open_session(config).stream]
    changes = [
        o.at_ns / 1e9 for o in outputs if isinstance(o, Notice) and o.kind == "person_changed"
    ]
    return [o for o in outputs if isinstance(o, Estimate)], changes


def causes(estimates: list[Estimate]) -> list[str]:
    return [e.window.gaps["face"][-1] for e in estimates]


def likeness(one: Estimate, other: Estimate) -> float:
    """Correlation of the closing rows."""
    a, b = (e.window.rows["face"][-1] for e in (one, other))
    return float(np.corrcoef(a, b)[0, 1])


def test_a_larger_bystander_changes_nothing_when_the_person_is_kept(tmp_path: Path) -> None:
    def alone(at_s: float) -> tuple[Place | None, Place | None]:
        return (120 + 20 * np.sin(at_s), 130, 120), None

    def visited(at_s: float) -> tuple[Place | None, Place | None]:
        return alone(at_s)[0], (360, 135, 230) if 1.0 <= at_s < 3.0 else None

    expected, _ = watched(film(tmp_path / "alone.mp4", alone, 4.0))
    scene = film(tmp_path / "visited.mp4", visited, 4.0)
    kept, changes = watched(scene)
    assert changes == []
    assert causes(kept) == causes(expected)
    # Not equal: the clip's compression differs a little.
    assert min(likeness(a, b) for a, b in zip(kept, expected, strict=True)) > 0.9
    again, _ = watched(scene)
    assert [e.prediction for e in again] == [e.prediction for e in kept]

    largest, changes = watched(scene, "largest")
    assert changes == pytest.approx([1.0, 3.0], abs=0.2)
    during = [likeness(a, b) for a, b in zip(largest[5:11], expected[5:11], strict=True)]
    assert max(during) < 0.8


def test_the_person_is_kept_while_both_cross(tmp_path: Path) -> None:
    def crossing(at_s: float) -> tuple[Place | None, Place | None]:
        return (80 + 80 * at_s, 130, 160), (400 - 80 * at_s, 140, 120)

    def hidden(at_s: float) -> tuple[Place | None, Place | None]:
        return crossing(at_s)[0], None

    kept, changes = watched(film(tmp_path / "crossing.mp4", crossing, 4.0))
    expected, _ = watched(film(tmp_path / "alone.mp4", hidden, 4.0))
    assert changes == []
    assert causes(kept)[:5] + causes(kept)[-3:] == ["none"] * 8
    for estimate, alone in [*zip(kept[:5], expected[:5], strict=True), (kept[-1], expected[-1])]:
        assert likeness(estimate, alone) > 0.9


def test_who_leaves_for_a_while_is_waited_for_and_known_again_elsewhere(tmp_path: Path) -> None:
    def away(at_s: float) -> tuple[Place | None, Place | None]:
        left = (110.0, 130.0, 180.0) if at_s < 1.5 else None
        return left if at_s < 3.0 else (200.0, 140.0, 170.0), (390, 135, 150)

    kept, changes = watched(film(tmp_path / "away.mp4", away, 4.5))
    assert changes == []
    assert causes(kept)[:6] == ["none"] * 6
    assert set(causes(kept)[6:12]) == {"no_face"}  # the bystander is in view all the time
    assert causes(kept)[12:] == ["none"] * 6


def test_who_is_gone_for_longer_is_replaced_and_that_is_told(tmp_path: Path) -> None:
    def gone(at_s: float) -> tuple[Place | None, Place | None]:
        return (110, 130, 180) if at_s < 1.0 else None, (390, 135, 150)

    kept, changes = watched(film(tmp_path / "gone.mp4", gone, 5.0))
    assert changes == pytest.approx([3.875], abs=0.2)
    assert set(causes(kept)[4:15]) == {"no_face"}
    assert set(causes(kept)[16:]) == {"none"}


def test_the_one_in_the_centre_is_taken_when_asked_for(tmp_path: Path) -> None:
    def both(at_s: float) -> tuple[Place | None, Place | None]:
        return (240, 135, 120), (400, 135, 150)

    def only(at_s: float) -> tuple[Place | None, Place | None]:
        return (240, 135, 120), None

    expected, _ = watched(film(tmp_path / "only.mp4", only, 1.0))
    scene = film(tmp_path / "both.mp4", both, 1.0)
    centre, changes = watched(scene, "centre")
    assert changes == []
    assert likeness(centre[2], expected[2]) > 0.9
    assert likeness(watched(scene)[0][2], expected[2]) < 0.8
