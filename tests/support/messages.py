"""One message of every topic, and a whole session, as a recognizer says them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from normtr import checkpoint
from normtr.cause import GAPS, Cause
from normtr.face import FaceRow
from normtr.face_detector import DetectedFace
from normtr.predictor import Prediction
from normtr.shipped import SHIPPED
from normtr.spec import LABELS, MODALITIES, FeatureSpec
from normtr.text import TimedWord
from normtr.window import assemble
from stream.pipeline.events import Seen, TranscriptEvent, Word, WordChange
from stream.pipeline.outputs import HealthReport, Notice, Output, SourceReport
from stream.pipeline.window_assembler import Estimate
from stream.publish import recording
from stream.publish.messages import Messages
from stream.publish.previews import Previews
from stream.wire import (
    AFFECT,
    FACE,
    FRAME,
    INFO,
    NOTIFY,
    Message,
)

PREVIEWS_OF = checkpoint.load(SHIPPED)
PREVIEWS = Previews(PREVIEWS_OF, faces=True, frames=True)


def estimate(causes: list[str]) -> Estimate:
    """An estimate of the window that ends at 5 s and whose steps have these causes."""
    spec = FeatureSpec(steps=len(causes))
    columns = {
        m: [(c, np.ones(dim, np.float32) if c == Cause.NONE else None) for c in causes]
        for m, dim in spec.dims.items()
    }
    window = assemble(spec, 5_000_000_000 - len(causes) * spec.step_ns, columns)
    share = window.share
    prediction = Prediction((0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1), "angry", 0.4, False, share)
    return Estimate(19, window, prediction, window.end_ns + 150_000_000, 2)


def outputs() -> list[Output]:
    word = Word(3, TimedWord("hello", 10, 20), 0.5, True)
    source = SourceReport(True, 25.0, 0, 12.5)
    dead = SourceReport(False, 0.0, 4, None)
    return [
        estimate([*GAPS, Cause.NONE]),
        HealthReport(
            5,
            {"camera": source, "microphone": dead},
            {"face": {"p50_ms": 1.0, "p95_ms": 2.0}, "voice": None},
            None,
            {"face": 1.0, "voice": None},
            {"face": 2, "voice": 0},
            2,
        ),
        Notice("device_lost", 7, "face", "unplugged"),
        TranscriptEvent((word,), (WordChange("commit", word),), 30, 40),
    ]


INFO_BODY = {
    "labels": list(LABELS),
    "modalities": list(MODALITIES),
    "spec": {"step_ms": 250},
    "spec_sha256": "a" * 64,
    "model": "f" * 64,
    "origin_ns": 1,
    "clock": {"monotonic_ns": 2, "utc_ns": 3},
    "source": "clip.mp4",
    "sources": ["clip.mp4"],
    "captures": True,
    "virtual": False,
    "calibrated": False,
    "versions": {"python": "3.11.0"},
}


def seen(row: FaceRow) -> Seen:
    return Seen(3, 4, np.zeros((48, 64, 3), np.uint8), row)


def messages() -> list[Message]:
    source = Messages("0123456789abcdef", "f" * 64, LABELS, "clip.mp4")
    face = DetectedFace((1.0, 2.0, 4.0, 8.0), ((1.0, 2.0),) * 5, 0.75)
    (_, of_face), *_ = PREVIEWS.of(seen(FaceRow("poor_image", face=face)), lambda _: True)
    of_frame = {"jpeg": b"\xff\xd8\xff\xd9", "width": 64, "height": 48}
    return [
        *(message for n, out in enumerate(outputs()) for message in source.of(n, out)),
        source.envelope(FACE, 4, 5, of_face),
        source.envelope(FRAME, 4, 5, of_frame),
        source.envelope(INFO, 0, 0, INFO_BODY),
    ]


SESSION = "0123456789abcdef"
SAID = {message.topic: message for message in messages()}


def said(topic: str, seq: int, session: str = SESSION, **keys: object) -> Message:
    payload = {**SAID[topic].payload, "seq": seq, "session": session, **keys}
    return Message(topic, payload)


def plain(value: Any) -> Any:
    """As the wire has it: lists and maps."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    return value


PERIOD_NS = 250_000_000
INFO_PAYLOAD = {
    **{key: SAID[AFFECT].payload[key] for key in ("session", "labels", "model")},
    **{"v": 1, "seq": 0, "t_ns": 0, "sent_ns": 0, "spec": {}, "spec_sha256": "", "origin_ns": 0},
    **{"modalities": ["face"], "clock": {"monotonic_ns": None, "utc_ns": None}, "source": "a"},
    **{"virtual": True, "calibrated": False, "versions": {}},
}


def session(steps: int) -> list[Message]:
    """`info`, then an estimate every 250 ms, and the end."""
    affects = [
        Message(AFFECT, {**SAID[AFFECT].payload, "seq": n, "sent_ns": (n + 4) * PERIOD_NS})
        for n in range(steps)
    ]
    end = {**SAID[NOTIFY].payload, "kind": "stopping", "sent_ns": (steps + 4) * PERIOD_NS}
    return [Message(INFO, INFO_PAYLOAD), *affects, Message(NOTIFY, end)]


def write(path: Path, messages: list[Message]) -> Path:
    recorder = recording.Recorder(path)
    for message in messages:
        recorder.take([message])
    recorder.close()
    return path


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
