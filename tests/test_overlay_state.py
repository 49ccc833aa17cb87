"""What an overlay shows of what arrived, whatever that is."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normtr.cause import GAPS
from stream.client.received import received
from stream.overlay.state import NO_DATA, NOTE_S, STALE_S, OverlayState, Shown
from stream.views.labels_and_colours import CAUSE_LOOKS, NOTHING
from stream.wire import Message
from tests.support import overlay_session as session

ADDRESS = "tcp://127.0.0.1:5577"
HERE = {modality: ["none"] * 16 for modality in ("face", "voice", "text")}


def shown(messages: Iterable[Message], silent_s: float = 0.0) -> Shown:
    state = OverlayState(ADDRESS)
    at_s = 100.0
    for message in messages:
        state.add(received(message), at_s)
    return state.shown(at_s + silent_s)


def gaps(**causes: str) -> dict[str, list[str]]:
    """The newest step, and all before it, by modality."""
    return {**HERE, **{modality: [cause] * 16 for modality, cause in causes.items()}}


def test_an_estimate_is_shown_as_it_came() -> None:
    said = session.affect(9, gaps=HERE, top="happy", confidence=0.8, abstained=False)
    view = shown([session.info(), said])
    assert (view.fresh, view.headline, view.top, view.confidence) == (True, "happy", "happy", 0.8)
    assert dict(view.bars) == dict(zip(session.LABELS, session.probabilities(9), strict=True))
    assert [light.saying for light in view.lights] == ["here"] * 3
    assert view.capture.on
    assert view.capture.saying == "camera and microphone in use"
    assert view.spoken().startswith("happy, confidence 80%. face: here; voice: here; words: here")


def test_abstaining_names_no_emotion() -> None:
    view = shown([session.affect(9, gaps=HERE, abstained=True)])
    assert (view.headline, view.top) == (NOTHING, "")


def test_the_calmer_label_is_taken_where_there_is_one() -> None:
    calm = {"top": "sad", "confidence": 0.7, "abstained": False}
    assert shown([session.affect(9, gaps=HERE, smoothed=calm)]).top == "sad"


@pytest.mark.parametrize("silent_s", [0.0, STALE_S - 0.01, STALE_S + 0.01])
def test_without_data_nothing_is_claimed(silent_s: float) -> None:
    view = shown([session.info(), session.affect(9, gaps=HERE)], silent_s)
    assert view.fresh == (silent_s <= STALE_S)
    if not view.fresh:
        assert (view.headline, view.top, view.note) == (
            NO_DATA,
            "",
            f"nothing arrives from {ADDRESS}",
        )
        assert not any(light.lit for light in view.lights)
        assert view.capture.on  # nobody said that the camera was closed
        assert "may be" in view.capture.saying


@pytest.mark.parametrize(
    ("causes", "saying", "on"),
    [
        ({"voice": "muted", "text": "muted"}, "camera in use, microphone muted", True),
        ({"face": "muted", "voice": "muted"}, "camera and microphone muted", True),
        (dict.fromkeys(HERE, "paused"), "camera and microphone open, paused", True),
        ({"face": "no_device"}, "microphone in use", True),
        ({"face": "no_track"}, "microphone in use", True),
        ({"voice": "off"}, "camera and microphone in use", True),
        ({"voice": "off", "text": "off"}, "camera in use", True),
        (dict.fromkeys(HERE, "off"), "no camera or microphone in use", False),
    ],
)
def test_the_badge_says_what_is_in_use(causes: dict[str, str], saying: str, on: bool) -> None:
    view = shown([session.info(), session.affect(9, gaps=gaps(**causes))])
    assert (view.capture.saying, view.capture.on) == (saying, on)


def test_the_badge_is_on_unless_somebody_says_that_nobody_is_captured() -> None:
    affect = session.affect(9, gaps=HERE)
    assert shown([affect]).capture.on
    old = Message(
        session.info().topic, {k: v for k, v in session.info().payload.items() if k != "captures"}
    )
    assert shown([old, affect]).capture.on
    assert not shown([session.info(captures=False), affect]).capture.on
    ended = shown([session.info(), affect, session.notify(0, "stopping")])
    assert (ended.capture.on, ended.fresh, ended.headline) == (False, False, NO_DATA)
    replayed = Message(affect.topic, {**affect.payload, "replay": True})
    assert shown([session.info(), replayed]).capture.saying == "replay of a recording"


@pytest.mark.parametrize("cause", GAPS)
def test_a_light_says_in_words_why_it_is_out(cause: str) -> None:
    lights = shown([session.affect(9, gaps=gaps(face=cause, voice=cause, text=cause))]).lights
    assert not any(light.lit for light in lights)
    assert all(light.saying for light in lights)
    assert cause in CAUSE_LOOKS
    said = {"muted": "microphone muted", "no_face": "no face", "no_device": "no microphone"}
    said["no_track"] = "no sound in the clip"
    assert lights[1].saying == said.get(cause, lights[1].saying)


def test_a_brief_gap_puts_out_no_light_but_a_muted_microphone_does_at_once() -> None:
    brief = [*["none"] * 14, "silence", "silence"]
    lights = shown([session.affect(9, gaps={**HERE, "voice": brief})]).lights
    assert lights[1].lit
    muted = [*["none"] * 15, "muted"]
    lights = shown([session.affect(9, gaps={**HERE, "voice": muted})]).lights
    assert (lights[1].lit, lights[1].saying) == (False, "microphone muted")


def test_every_cause_is_in_the_minute_that_is_shown() -> None:
    view = shown(map(session.affect, range(session.STEPS)))
    seen = {cause for column in view.columns for cause in column.causes.values()}
    assert seen == {"none", *GAPS}
    assert len(view.columns) == 60


def test_an_event_is_told_for_a_while_and_a_new_session_begins_anew() -> None:
    state = OverlayState(ADDRESS)
    state.add(received(session.affect(9, gaps=HERE)), 0.0)
    state.add(received(session.notify(0, "device_lost", "it is gone", "voice")), 0.0)
    assert state.shown(0.0).note == "voice: it is gone"
    assert state.shown(NOTE_S + 0.1).note == f"nothing arrives from {ADDRESS}"
    other = session.affect(10, gaps=HERE, session="another session")
    state.add(received(other), 1.0)
    assert state.shown(1.0).note == ""
    assert sum(bool(column.levels) for column in state.shown(1.0).columns) == 1


def two(step: int) -> list[Message]:
    """An estimate of each of two sources."""
    tops = {"a.mp4": "happy", "b.mp4": "sad"}
    return [
        session.affect(step, gaps=HERE, source=source, top=top, abstained=False)
        for source, top in tops.items()
    ]


TWO = session.info(captures=False, source="a.mp4, b.mp4", sources=["a.mp4", "b.mp4"])


def test_of_several_sources_the_first_is_followed_under_its_own_name() -> None:
    view = shown([TWO, *two(9)])
    assert view.top == "happy"
    assert view.capture.saying == "playing a.mp4, one of 2 sources"
    replayed = [Message(m.topic, {**m.payload, "replay": True}) for m in (TWO, *two(9))]
    assert shown(replayed).capture.saying == "replay of a.mp4, one of 2 sources"
    lost = session.notify(0, "device_lost", "it is gone", "voice", source="b.mp4")
    assert shown([TWO, *two(9), lost]).note == "b.mp4: voice: it is gone"


def test_the_other_source_is_followed_once_the_first_has_ended() -> None:
    state = OverlayState(ADDRESS)
    for message in (TWO, *two(9)):
        state.add(received(message), 0.0)
    state.add(received(two(12)[1]), STALE_S + 0.1)
    view = state.shown(STALE_S + 0.2)
    assert (view.fresh, view.top) == (True, "sad")
    assert view.capture.saying == "playing b.mp4, one of 2 sources"
    assert sum(bool(column.levels) for column in view.columns) == 1  # its own history


numbers = st.floats(allow_nan=True, allow_infinity=True)
names = st.text(max_size=8)


@given(
    st.lists(st.tuples(names, numbers), min_size=1, max_size=9),
    st.dictionaries(
        st.sampled_from(["face", "voice", "text", "gaze"]),
        st.lists(st.sampled_from(["none", *GAPS, "other"]), min_size=1, max_size=20),
        min_size=1,
    ),
    st.integers(1, 10**12),
    st.integers(-(2**63), 2**63 - 1),
    numbers,
    st.floats(0, 10),
)
def test_whatever_is_published_can_be_shown(
    labels: list[tuple[str, float]],
    causes: dict[str, list[str]],
    step_ns: int,
    end_ns: int,
    confidence: float,
    silent_s: float,
) -> None:
    window = {"begin_ns": 0, "end_ns": end_ns, "step_ns": step_ns, "steps": 16}
    said = session.affect(
        0,
        labels=[label for label, _ in labels],
        probabilities=[share for _, share in labels],
        gaps=causes,
        window=window,
        confidence=confidence,
        top="x",
        abstained=False,
    )
    view = shown([said], silent_s)
    assert 0.0 <= view.confidence <= 1.0
    assert all(0.0 <= share <= 1.0 for _, share in view.bars)
    assert [light.modality for light in view.lights] == list(causes)
    assert len(view.columns) == 60
    assert view.spoken()
