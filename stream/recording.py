"""Recordings: one JSON line a message, `{"topic": ..., "payload": {...}}`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from normtr.errors import UserError
from stream.line_file import LineFile
from stream.wire import Message


class Recorder:
    """Writes line by line to a temporary name; the file gets its own at `close`."""

    def __init__(self, path: Path) -> None:
        """Raises UserError when the file cannot be written."""
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._file = LineFile(self._partial, path)

    def write(self, message: Message) -> None:
        """Raises UserError when the disk takes no more."""
        self._file.write(json.dumps({"topic": message.topic, "payload": message.payload}) + "\n")

    def close(self) -> None:
        self._file.close()
        self._partial.replace(self._path)


def read(path: Path) -> Iterator[Message]:
    """The messages of a recording. Raises UserError naming the line that is damaged."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the recording {path}: {error}.") from None
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            yield Message(str(record["topic"]), dict(record["payload"]))
        except (ValueError, KeyError, TypeError):
            raise UserError(f"line {number} of the recording {path} is damaged.") from None
