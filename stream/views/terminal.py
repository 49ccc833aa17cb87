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
"""So many pieces of text wait for an output that takes none; what comes then is lost."""
LAST_S = 5.0
"""So long what is left is waited for at the end."""


@contextlib.contextmanager
def unless_gone(output: TextIO) -> Iterator[None]:
    """Ends quietly where `output` was closed at its other end."""
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

    A terminal paused with Ctrl-S, or a reader that hangs, holds up that thread alone. Where the
    output was closed at its other end, what is printed goes nowhere.
    """

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._texts: queue.Queue[str | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._write, name="terminal", daemon=True)
        self._thread.start()

    def console(self) -> Console:
        """Rich, writing to this output."""
        from rich.console import Console  # subscribers have no Rich

        return Console(file=cast(TextIO, self))

    def write(self, text: str) -> int:
        with contextlib.suppress(queue.Full):
            self._texts.put_nowait(text)
        return len(text)

    def flush(self) -> None:
        """Nothing to do: every piece is flushed when it is written."""

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
