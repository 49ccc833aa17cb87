"""Terminals and pipes that are closed, or paused, while the program writes to them."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

WAITING = 256
"""This many pieces of text wait for an output that takes none; further ones are lost."""
LAST_S = 5.0
"""The rest of the text is waited for this long at the end."""


@contextlib.contextmanager
def unless_gone(output: TextIO) -> Iterator[None]:
    """End quietly when `output` was closed at its other end."""
    try:
        yield
        output.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, output.fileno())
            os.close(nowhere)


class Patient:
    """A text output that is written by a thread of its own.

    A terminal paused with Ctrl-S, or a reader that hangs, stops only that thread. When the output
    was closed at its other end, the text is thrown away.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._texts: queue.Queue[str | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._write, name="terminal", daemon=True)
        self._thread.start()

    def console(self) -> Console:
        """Return a Rich console that writes to this output."""
        from rich.console import Console  # subscribers have no Rich

        return Console(file=cast(TextIO, self))

    def write(self, text: str) -> int:
        with contextlib.suppress(queue.Full):
            self._texts.put_nowait(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: every piece is flushed when it is written."""

    def isatty(self) -> bool:
        return self._output.isatty()

    def fileno(self) -> int:
        return self._output.fileno()

    @property
    def encoding(self) -> str:
        return self._output.encoding

    def close(self) -> None:
        """Write what is left, for at most `LAST_S`."""
        with contextlib.suppress(queue.Full):
            self._texts.put(None, timeout=LAST_S)
            self._thread.join(LAST_S)

    def _write(self) -> None:
        gone = False
        while (text := self._texts.get()) is not None:
            if not gone:
                try:
                    self._output.write(text)
                    self._output.flush()
                except (OSError, ValueError):
                    gone = True
