"""A recording has one JSON line for each message: `{"topic": ..., "payload": {...}}`.

JSON has no bytes, so they are written as `{"base64": "..."}`.
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
"""No message that the wire takes has a longer line: JSON writes a byte as at most 6."""


class Recorder(Sink):
    """Writes messages to a temporary file, which gets its name at `close`."""

    def __init__(self, path: Path) -> None:
        """Open the temporary file. Raises UserError when it cannot be written."""
        self._path = path
        self._partial = partial_of(path)
        self._file = LineFile(self._partial, path)

    def wants(self, topic: str) -> bool:
        """Return False for pictures of people, which are not recorded."""
        return topic != FRAME

    def take(self, messages: Sequence[Message], output: Output | None = None) -> None:
        """Write the messages. Raises UserError when the disk takes no more."""
        for message in messages:
            if message.topic != FRAME:
                self._file.write(line(message))

    def close(self) -> None:
        self._file.close()
        self._partial.replace(self._path)


def line(message: Message) -> str:
    """Return the message as a line, including its line break."""
    record = {"topic": message.topic, "payload": message.payload}
    return json.dumps(record, default=_without_bytes) + "\n"


def read(path: Path) -> Iterator[Message]:
    """Yield the messages of a recording; a last line without a line break is left out.

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
    """Return whether the last line is unfinished. Raises UserError when it cannot be read."""
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
