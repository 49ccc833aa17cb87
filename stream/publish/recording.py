"""Recordings: one JSON line a message, `{"topic": ..., "payload": {...}}`.

JSON has no bytes: they are written as `{"base64": "..."}`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normtr.errors import UserError
from normtr.whole_file import partial_of
from stream.publish.line_file import LineFile
from stream.publish.sink import Sink
from stream.wire import FRAME, MAX_BYTES, Message

if TYPE_CHECKING:
    from stream.pipeline.outputs import Output

MAX_LINE = 8 * MAX_BYTES
"""A larger message than the wire takes has no longer line; JSON writes a byte in 6 at most."""


class Recorder(Sink):
    """Writes line by line to a temporary name; the file gets its own at `close`."""

    def __init__(self, path: Path) -> None:
        """Raises UserError when the file cannot be written."""
        self._path = path
        self._partial = partial_of(path)
        self._file = LineFile(self._partial, path)

    def wants(self, topic: str) -> bool:
        """Pictures of people are not recorded."""
        return topic != FRAME

    def take(self, messages: Sequence[Message], output: Output | None = None) -> None:
        """Raises UserError when the disk takes no more."""
        for message in messages:
            if message.topic != FRAME:
                self._file.write(line(message))

    def close(self) -> None:
        self._file.close()
        self._partial.replace(self._path)


def line(message: Message) -> str:
    """The message as a line, with its end."""
    record = {"topic": message.topic, "payload": message.payload}
    return json.dumps(record, default=_without_bytes) + "\n"


def read(path: Path) -> Iterator[Message]:
    """The messages of a recording. A last line without its end was being written; it does not count.

    Raises UserError naming the line that is damaged.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while (text := file.readline(MAX_LINE)).endswith(b"\n"):
                number += 1
                yield _message(text, number, path)
    except OSError as error:
        raise UserError(f"cannot read the recording {path}: {error.strerror}.") from None
    if len(text) == MAX_LINE:
        raise UserError(f"line {number + 1} of the recording {path} is too long.")


def interrupted(path: Path) -> bool:
    """Whether the last line was not written to its end. Raises UserError."""
    try:
        with path.open("rb") as file:
            return file.seek(0, 2) > 0 and file.seek(-1, 2) >= 0 and file.read() != b"\n"
    except OSError as error:
        raise UserError(f"cannot read the recording {path}: {error.strerror}.") from None


def _message(text: bytes, number: int, path: Path) -> Message:
    try:
        record = json.loads(text, object_hook=_with_bytes)
        topic, payload = record["topic"], record["payload"]
        if isinstance(topic, str) and isinstance(payload, dict):
            return Message(topic, payload)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise UserError(f"line {number} of the recording {path} is damaged.") from None


def _without_bytes(value: object) -> object:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    return str(value)  # a type that only foreign publishers send


def _with_bytes(value: dict[str, Any]) -> object:
    return base64.b64decode(value["base64"]) if value.keys() == {"base64"} else value
