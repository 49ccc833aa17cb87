"""Causes, lateness and words in the windows that the recognizer assembles."""

from __future__ import annotations

import numpy as np
import pytest

from normtr.spec import FeatureSpec
from normtr.text import TextEncoder, TimedWord
from stream.pipeline.events import (
    Arrived,
    Condition,
    Down,
    Dropped,
    Ended,
    Event,
    Failed,
    FeatureRow,
    Restarted,
    TextReady,
    TranscriptEvent,
    Word,
)
from stream.pipeline.window_assembler import WindowAssembler

STEP = 250_000_000


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder(FeatureSpec().text)


def row(modality: str, step: int, cause: str = "none", value: float = 1.0) -> FeatureRow:
    dim = FeatureSpec().dims[modality]
    vector = np.full(dim, value, np.float32) if cause == "none" else None
    return FeatureRow(modality, step, cause, vector, step * STEP, (step + 1) * STEP, 0)


def recognizer(off: set[str] | None = None) -> WindowAssembler:
    return WindowAssembler(FeatureSpec(), 0, off or set())


def test_steps_before_the_start_are_starting_and_nothing_arrived_is_stalled() -> None:
    assert recognizer().window(0).gaps["face"] == ("starting",) * 15 + ("stalled",)


def test_a_row_counts_when_all_that_arrived_for_it_is_there() -> None:
    it = recognizer()
    for event in (Arrived("face", 0), Arrived("face", 0), row("face", 0, value=1.0)):
        it.handle(event)
    assert it.window(0).gaps["face"][-1] == "late"
    it.handle(row("face", 0, value=3.0))
    window = it.window(1)
    assert window.gaps["face"][-2] == "none"
    assert np.all(window.rows["face"][-2] == 2.0)


def test_a_row_that_comes_late_is_used_by_the_next_estimate() -> None:
    it = recognizer()
    it.handle(Arrived("voice", 0))
    assert it.window(0).gaps["voice"][-1] == "late"
    it.handle(row("voice", 0))
    assert it.window(1).gaps["voice"][-2:] == ("none", "stalled")
    assert it.fresh["voice"].share == 0.0


def test_lost_input_is_a_gap_even_when_another_row_of_the_step_came() -> None:
    it = recognizer()
    for event in (Arrived("face", 0), Arrived("face", 0), Dropped("face", 0), row("face", 0)):
        it.handle(event)
    assert it.window(0).gaps["face"][-1] == "dropped"


def test_a_failed_worker_makes_a_gap_of_cause_error() -> None:
    it = recognizer()
    it.handle(Arrived("voice", 0))
    it.handle(Failed("voice", 0, "boom"))
    assert it.window(0).gaps["voice"][-1] == "error"


def test_steps_without_a_worker_are_errors_but_rows_that_came_count() -> None:
    it = recognizer()
    for step in range(6):
        it.handle(Arrived("face", step))
        it.handle(Arrived("voice", step))
    it.handle(row("face", 0))
    it.handle(row("face", 1))
    it.handle(Down("face", STEP + 1, "hung"))
    it.handle(Dropped("face", 2))
    it.handle(Condition("face", "no_device", 3 * STEP + 1))
    it.handle(Condition("face", None, 4 * STEP + 1))
    it.handle(Restarted("face", 5 * STEP, ""))
    window = it.window(5)
    assert window.gaps["face"][-6:] == ("none", "none", "error", "no_device", "error", "late")
    assert window.gaps["voice"][-6:] == ("late",) * 6


def test_speech_without_a_transcriber_is_an_error_for_good(encoder: TextEncoder) -> None:
    it = recognizer()
    it.handle(Down("transcribe", 0, "cannot be loaded"))
    assert it.window(0).gaps["text"][-1] == "error"
    it.handle(TextReady(encoder))
    it.handle(Restarted("transcribe", STEP, ""))
    for step in range(8):
        it.handle(Arrived("voice", step))
        it.handle(row("voice", step, "silence" if step == 4 else "none"))
    it.handle(TranscriptEvent(words(("hello", 0.3, 0.4)), (), 3 * STEP, 0))
    it.handle(Down("transcribe", 5 * STEP, "hung"))
    it.handle(Restarted("transcribe", 6 * STEP, ""))
    it.handle(TranscriptEvent(words(("hello", 0.3, 0.4)), (), 7 * STEP, 0))
    gaps = it.window(7).gaps["text"][-8:]
    assert gaps == (
        "error",
        "none",
        "no_words",
        "error",
        "no_words",
        "error",
        "no_words",
        "late",
    )


def test_off_stands_before_everything_else() -> None:
    it = recognizer({"face"})
    it.handle(Condition("face", "no_device", 0))
    assert set(it.window(3).gaps["face"]) == {"off"}


def test_a_lost_device_explains_the_steps_until_it_is_back() -> None:
    it = recognizer()
    it.handle(Condition("face", None, 0))
    it.handle(Arrived("face", 0))
    it.handle(row("face", 0))
    it.handle(Condition("face", "no_device", STEP + 1))
    it.handle(Condition("face", None, 3 * STEP + 1))
    for step in (3, 4):
        it.handle(Arrived("face", step))
        it.handle(row("face", step, "no_face" if step == 4 else "none"))
    gaps = it.window(4).gaps["face"]
    assert gaps[-5:] == ("none", "no_device", "no_device", "none", "no_face")


def words(*spoken: tuple[str, float, float]) -> tuple[Word, ...]:
    return tuple(
        Word(n, TimedWord(text, int(a * 1e9), int(b * 1e9)), 0.9, False)
        for n, (text, a, b) in enumerate(spoken)
    )


def test_words_fall_into_the_step_of_their_middle_and_the_rest_is_late_or_no_words(
    encoder: TextEncoder,
) -> None:
    it = recognizer()
    assert it.window(0).gaps["text"][-1] == "starting"
    it.handle(TextReady(encoder))
    for step in range(8):
        it.handle(Arrived("voice", step))
        it.handle(row("voice", step, {6: "silence", 3: "muted"}.get(step, "none")))
    it.handle(TranscriptEvent(words(("hello", 0.3, 0.4)), (), int(1.25e9), 0))
    gaps = it.window(7).gaps["text"][-8:]
    assert gaps == (
        "no_words",
        "none",
        "no_words",
        "muted",
        "no_words",
        "late",
        "no_words",
        "late",
    )


def test_sound_that_the_transcriber_skipped_is_dropped_and_the_silence_in_it_is_not(
    encoder: TextEncoder,
) -> None:
    it = recognizer()
    it.handle(TextReady(encoder))
    for step in range(6):
        it.handle(Arrived("voice", step))
        it.handle(row("voice", step, "silence" if step == 2 else "none"))
    said = words(("hello", 0.0, 0.2), ("you", 0.8, 0.9))
    it.handle(TranscriptEvent(said, (), 6 * STEP, 0, skipped=(STEP, 4 * STEP)))
    gaps = it.window(5).gaps["text"][-6:]
    assert gaps == ("none", "dropped", "no_words", "none", "no_words", "no_words")


def test_a_step_that_the_voice_gave_up_is_whole_for_the_words(encoder: TextEncoder) -> None:
    it = recognizer()
    it.handle(TextReady(encoder))
    it.handle(Arrived("voice", 0))
    it.handle(Dropped("voice", 0))
    it.handle(TranscriptEvent((), (), STEP, 0))
    window = it.window(0)
    assert window.gaps["voice"][-1] == "dropped"
    assert window.gaps["text"][-1] == "no_words"
    assert it.fresh["voice"].share == 0.0


def test_text_row_is_the_encoders_row_of_the_words_known_now(encoder: TextEncoder) -> None:
    it = recognizer()
    it.handle(TextReady(encoder))
    said = words(("very", 0.0, 0.1), ("happy", 0.1, 0.2))
    it.handle(TranscriptEvent(said, (), STEP, 0))
    window = it.window(0)
    expected = encoder.word_vectors(["very", "happy"]).mean(axis=0, dtype=np.float32)
    assert np.array_equal(window.rows["text"][-1], expected)


def test_memory_of_steps_is_bounded() -> None:
    it = recognizer()
    for step in range(100):
        it.handle(Arrived("voice", step))
        it.handle(row("voice", step))
        it.handle(Condition("voice", "no_device" if step % 2 else None, step * STEP))
        it.window(step)
    assert len(it._steps["voice"]) <= 17
    assert len(it._conditions["voice"]) <= 20


def test_a_step_is_closed_once_every_input_it_can_get_has_its_row() -> None:
    it = recognizer()
    for event in (Arrived("face", 0), row("face", 0), Arrived("voice", 0), row("voice", 0)):
        assert not it.is_closed(0)
        it.handle(event)
    assert not it.is_closed(0)  # a second picture can come
    it.handle(Arrived("face", 1))
    assert it.is_closed(0)  # pictures come in order
    assert not it.is_closed(1)


def test_two_pictures_are_all_that_a_step_can_get() -> None:
    it = recognizer({"voice"})
    for event in (Arrived("face", 0), row("face", 0), Arrived("face", 0)):
        it.handle(event)
        assert not it.is_closed(0)
    it.handle(row("face", 0, "no_face"))
    assert it.is_closed(0)


@pytest.mark.parametrize(
    "event",
    [
        *(Dropped("face", 0), Failed("face", 0, "boom"), Down("face", STEP, "hung")),
        *(
            Ended("camera", STEP - 1),
            Condition("face", "stalled", 1),
            Condition("face", "paused", 1),
        ),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_stands_in_the_way_of_rows_is_not_waited_for(event: Event) -> None:
    it = recognizer({"voice"})
    assert not it.is_closed(0)
    it.handle(event)
    assert it.is_closed(0)


def test_a_device_that_starts_and_a_busy_worker_are_waited_for() -> None:
    it = recognizer({"voice"})
    it.handle(Condition("face", "starting", 0))
    assert not it.is_closed(0)
    it.handle(Condition("face", None, 1))
    it.handle(Arrived("face", 0))
    it.handle(Ended("camera", STEP))
    assert not it.is_closed(0)
    it.handle(row("face", 0))
    assert it.is_closed(0)


def test_words_are_not_waited_for(encoder: TextEncoder) -> None:
    it = recognizer({"face"})
    it.handle(TextReady(encoder))
    it.handle(Arrived("voice", 0))
    it.handle(row("voice", 0))
    assert it.is_closed(0)
    assert it.window(0).gaps["text"][-1] == "late"
