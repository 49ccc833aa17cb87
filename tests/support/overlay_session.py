"""A recorded minute with every cause of a gap, as a recognizer could have written it."""

from __future__ import annotations

import math
from pathlib import Path

from normtr.cause import GAPS
from stream.publish import recording
from stream.wire import AFFECT, INFO, NOTIFY, Message

LABELS = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
STEP_NS = 250_000_000
STEPS = 240
WINDOW = 16
SESSION = "feedfacefeedface"
EACH = 16
"""Steps that a cause holds in the story."""


def cause(modality: str, step: int) -> str:
    """Every cause has its turn, at another time in each modality; between them all is there."""
    turn, within = divmod(step + {"face": 0, "voice": 7, "text": 3}[modality], EACH)
    if step < 4:
        return "starting"
    if within < 6 or step >= STEPS - 12:
        return "none"
    offset = {"face": 0, "voice": 5, "text": 10}[modality]
    found = GAPS[(turn + offset) % len(GAPS)]
    only = {
        "no_face": "face",
        "turned_away": "face",
        "poor_image": "face",
        "silence": "voice",
        "no_words": "text",
    }
    return found if only.get(found, modality) == modality else "late"


def probabilities(step: int) -> list[float]:
    phases = [math.exp(2.4 * math.sin(step / 23 + 2.2 * n)) for n in range(len(LABELS))]
    return [phase / sum(phases) for phase in phases]


def affect(step: int, **keys: object) -> Message:
    end_ns, shares = (step + 1) * STEP_NS, probabilities(step)
    top = max(range(len(LABELS)), key=lambda n: shares[n])
    gaps = {
        modality: [cause(modality, s) if s >= 0 else "starting" for s in _window(step)]
        for modality in ("face", "voice", "text")
    }
    payload = {
        **_envelope(step, end_ns),
        "labels": LABELS,
        "probabilities": shares,
        "top": LABELS[top],
        "confidence": shares[top],
        "abstained": shares[top] < 0.3,
        "window": {
            "begin_ns": end_ns - WINDOW * STEP_NS,
            "end_ns": end_ns,
            "step_ns": STEP_NS,
            "steps": WINDOW,
        },
        "gaps": gaps,
        "smoothed": None,
        "share": {"face": 0.5, "voice": 0.3, "text": 0.2},
        "latency_ms": {"settle": 150.0, "compute": 22.0, "total": 172.0},
        "model": "0" * 64,
    }
    return Message(AFFECT, {**payload, **keys})


def info(**keys: object) -> Message:
    payload = {
        **_envelope(0, 0),
        "labels": LABELS,
        "modalities": ["face", "voice", "text"],
        "spec": {},
        "spec_sha256": "",
        "model": "0" * 64,
        "origin_ns": 0,
        "clock": {"monotonic_ns": 0, "utc_ns": 0},
        "source": "camera and microphone",
        "sources": ["camera and microphone"],
        "captures": True,
        "virtual": False,
        "calibrated": False,
        "versions": {},
    }
    return Message(INFO, {**payload, **keys})


def notify(
    seq: int, kind: str, detail: str = "", modality: str | None = None, source: str = ""
) -> Message:
    body = {"kind": kind, "modality": modality, "detail": detail, "source": source}
    return Message(NOTIFY, {**_envelope(seq, STEPS * STEP_NS), **body})


def write(path: Path, steps: int = STEPS) -> Path:
    recorder = recording.Recorder(path)
    for message in (info(), *map(affect, range(steps))):
        recorder.take([message])
    recorder.close()
    return path


def _window(step: int) -> range:
    return range(step + 1 - WINDOW, step + 1)


def _envelope(seq: int, t_ns: int) -> dict[str, object]:
    return {"v": 1, "session": SESSION, "seq": seq, "t_ns": t_ns, "sent_ns": t_ns + 172_000_000}
