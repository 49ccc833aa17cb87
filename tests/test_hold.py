"""An ingest that is held: nothing of a muted or paused device gets in."""

from __future__ import annotations

import numpy as np
import pytest

from normtr.spec import FeatureSpec
from stream.pipeline.events import Condition, Event
from stream.pipeline.ingest import Ingest

RATE = 16_000
BLOCK_NS = 10_000_000


class Feeding:
    """An ingest from time 0 and what it posted; sound comes in blocks of 10 ms, all ones."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.ingest = Ingest(FeatureSpec(), 0, self.events.append, frozenset())
        self.now_ns = 0

    def hear(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.ingest.sound(self.now_ns, np.ones(RATE // 100, np.float32), RATE, "stalled")
            self.now_ns += BLOCK_NS

    def causes(self, modality: str) -> list[str | None]:
        return [
            event.cause
            for event in self.events
            if isinstance(event, Condition) and event.modality == modality
        ]


def test_sound_of_a_muted_microphone_never_enters_the_ring() -> None:
    feeding = Feeding()
    ingest = feeding.ingest
    feeding.hear(1.0)
    assert ingest.hold("microphone", "muted", feeding.now_ns)
    assert not ingest.hold("microphone", "muted", feeding.now_ns)
    feeding.hear(2.0)
    assert ingest.release("microphone", "muted", feeding.now_ns)
    feeding.hear(1.0)
    sound = ingest.ring.read(0, ingest.ring.end).samples
    assert ingest.ring.end >= 3.9 * RATE
    muted = sound[round(1.05 * RATE) : round(2.95 * RATE)]
    assert np.abs(muted).max() == 0.0
    assert np.abs(sound[: round(0.9 * RATE)]).min() > 0.5
    assert np.abs(sound[round(3.1 * RATE) :]).min() > 0.5
    assert {hole.cause for hole in ingest.ring.holes} == {"muted"}
    assert feeding.causes("voice") == feeding.causes("text") == [None, "muted", None]


def test_a_picture_of_a_held_camera_is_not_even_decoded() -> None:
    feeding = Feeding()

    def decode() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        raise AssertionError("it was decoded")

    feeding.ingest.hold("camera", "paused", 0)
    for step in range(8):
        feeding.ingest.picture(step * 125_000_000, decode)
    assert feeding.ingest.frames.take() is None
    assert feeding.ingest.meters["camera"].items == 8  # it is alive all the same


@pytest.mark.parametrize(
    ("after", "told"),
    [(None, [None, "paused", None]), ("no_device", [None, "paused", "no_device"])],
)
def test_the_first_of_several_causes_is_told_and_then_what_remains(
    after: str | None, told: list[str | None]
) -> None:
    feeding = Feeding()
    feeding.hear(0.1)
    for cause in ("paused", "muted"):
        feeding.ingest.hold("microphone", cause, feeding.now_ns)
    feeding.ingest.condition("microphone", after, feeding.now_ns)
    feeding.ingest.release("microphone", "muted", feeding.now_ns)
    assert feeding.causes("voice") == told[:2]
    feeding.ingest.release("microphone", "paused", feeding.now_ns)
    if after is None:
        assert feeding.causes("voice") == told[:2]  # held until something comes
        feeding.hear(0.1)
    assert feeding.causes("voice") == told
    assert not feeding.ingest.was_held("microphone", feeding.now_ns)
    assert feeding.ingest.was_held("microphone", feeding.now_ns - 2 * 10**8)
