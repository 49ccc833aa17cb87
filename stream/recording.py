"""Recordings: one JSON line a message, `{"topic": ..., "payload": {...}}`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from normtr.errors import UserError
from stream.wire import Message


class Recorder:
    """Writes line by line to a temporary name; the file gets its own at `close`."""

    def __init__(self, path: Path) -> None:
        """Raises UserError when the file cannot be written."""
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        try:
            self._file: TextIO = self._partial.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}.") from None

    def write(self, message: Message) -> None:
        try:
            record = {"topic": message.topic, "payload": message.payload}
            self._file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {self._path}: {error.strerror}.") from None

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
