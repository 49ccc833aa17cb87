"""The public contract, wire version 1: topics, payloads, encoding and decoding.

A message is two frames: the topic (UTF-8) and the payload, one msgpack map with string keys. Times
are int ns, and arrays are lists. The JSON schema of every payload lies in `stream/schema`. This
module imports nothing heavy: subscribers use it, too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, Final

import msgpack

ADDRESS = "tcp://127.0.0.1:5577"
"""A recognizer publishes here unless it is told otherwise."""
VERSION = 1
PREFIX = f"er.v{VERSION}."
AFFECT: Final = "er.v1.affect"
FACE: Final = "er.v1.face"
FRAME: Final = "er.v1.frame"
HEALTH: Final = "er.v1.health"
INFO: Final = "er.v1.info"
NOTIFY: Final = "er.v1.notify"
TEXT: Final = "er.v1.text"
TOPICS = (AFFECT, FACE, FRAME, HEALTH, INFO, NOTIFY, TEXT)
MAX_BYTES = 1_000_000
"""A larger frame is refused before it is decoded."""
LARGEST_REQUEST = 10_000
"""The largest request at the control port in bytes; a larger one is refused with a sentence."""


class NoticeKind(StrEnum):
    """The kind of a notice, `er.v1.notify`."""

    DEVICE_LOST = "device_lost"
    DEVICE_BACK = "device_back"
    MUTED = "muted"
    UNMUTED = "unmuted"
    WORKER_ERROR = "worker_error"
    WORKER_DOWN = "worker_down"
    WORKER_RESTARTED = "worker_restarted"
    LATE_WORDS = "late_words"
    NOT_UNDERSTOOD = "not_understood"
    PERSON_CHANGED = "person_changed"
    SOURCE_ENDED = "source_ended"
    FELL_BACK_TO_CPU = "fell_back_to_cpu"
    PAUSED = "paused"
    RESUMED = "resumed"
    DEGRADED = "degraded"
    RECOVERED = "recovered"
    MARK = "mark"
    CALIBRATED = "calibrated"
    NOT_CALIBRATED = "not_calibrated"
    STOPPING = "stopping"


class WireError(ValueError):
    """The bytes are no message of this wire version."""


@dataclass(frozen=True)
class Message:
    """A topic and its payload, ready to be encoded."""

    topic: str
    payload: dict[str, Any]


def encode(message: Message) -> tuple[bytes, bytes]:
    return message.topic.encode(), msgpack.packb(message.payload, use_bin_type=True)


def decode(frames: list[bytes]) -> Message:
    """Turn two frames into a Message; what they contain is never run.

    Raises WireError for anything else.
    """
    if len(frames) != 2:
        raise WireError(f"a message has 2 frames, not {len(frames)}")
    if max(map(len, frames)) > MAX_BYTES:
        raise WireError("the message is too large")
    try:
        topic = frames[0].decode()
    except ValueError as error:
        raise WireError(f"the message cannot be decoded: {error}") from None
    if not topic.startswith(PREFIX):
        raise WireError(f"{topic!r} is no topic of wire version {VERSION}")
    return Message(topic, unpacked(frames[1]))


def unpacked(frame: bytes) -> dict[str, Any]:
    """Return the map in a frame. Raises WireError if the frame holds anything else."""
    try:
        payload = msgpack.unpackb(frame, raw=False, strict_map_key=True)
    except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise WireError(f"the message cannot be decoded: {error}") from None
    if not isinstance(payload, dict) or not all(isinstance(key, str) for key in payload):
        raise WireError("the payload is no map with string keys")
    return payload


@cache
def schema(topic: str) -> dict[str, Any]:
    """Return the JSON schema of a topic's payload."""
    name = topic.removeprefix(PREFIX) + ".json"
    text = resources.files("stream").joinpath("schema", name).read_text()
    loaded: dict[str, Any] = json.loads(text)
    return loaded
