"""The terminal during a session: the live status or a line each second, and notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, assert_never

from rich.console import Console, Group
from rich.live import Live as Redraw

from stream.pipeline.events import Seen, TranscriptEvent, Word
from stream.pipeline.outputs import HealthReport, Notice, Output
from stream.pipeline.window_assembler import Estimate
from stream.publish.sink import Sink
from stream.views import status, status_line
from stream.wire import AFFECT, Message

if TYPE_CHECKING:
    from stream.session.session import Opened

SHOWN_WORDS = 12
"""This many of the last words are shown."""


class LiveTerminal(Sink):
    """Draws the status on a terminal; elsewhere it prints a line for each whole second."""

    def __init__(self, opened: Opened, console: Console, *, words: bool, quiet: bool) -> None:
        """`words` shows what was said, too. `quiet` prints only notices where nobody watches."""
        self._opened = opened
        self._console = console
        self._words, self._quiet = words, quiet
        self._shown: Sequence[Word] = ()
        self._newest: dict[str, Mapping[str, Any]] = {}  # `affect`, by source
        self._redraw = (
            Redraw(console=console, auto_refresh=False, transient=True)
            if console.is_terminal and not opened.virtual
            else None
        )
        self._capture = (
            f"{opened.name} being read; nothing leaves this machine"
            if opened.captures
            else f"playing {opened.name}"
        )

    def start(self) -> None:
        if self._redraw is not None:
            self._redraw.start()

    def close(self) -> None:
        if self._redraw is not None:
            self._redraw.stop()

    def take(self, messages: Sequence[Message], output: Output | None = None) -> None:
        for message in messages:
            if message.topic == AFFECT:
                self._show(message.payload)
        match output:
            case TranscriptEvent():
                self._shown = output.words[-SHOWN_WORDS:]
            case Notice():
                self._tell(output)
            case Estimate() | HealthReport() | Seen() | None:
                pass  # an estimate is shown from its message
            case _:
                assert_never(output)

    def _tell(self, notice: Notice) -> None:
        if notice.detail and not self._opened.virtual:
            of = notice.source if len(self._opened.sources) > 1 else ""
            where = "".join(f"{word}: " for word in (of, notice.modality) if word)
            self._console.print(f"{where}{notice.detail}", soft_wrap=True)

    def _show(self, affect: Mapping[str, Any]) -> None:
        words = [word.word.text for word in self._shown] if self._words else []
        self._newest[affect["source"]] = affect
        if self._redraw is not None:
            seen = (
                status.status(affect, self._capture, words)
                if len(self._opened.sources) == 1
                else Group(*map(self._line, self._newest.values()), self._capture)
            )
            self._redraw.update(seen, refresh=True)
        elif not self._quiet and not self._opened.virtual and self._is_whole_second(affect):
            print(self._line(affect), file=self._console.file)

    def _is_whole_second(self, affect: Mapping[str, Any]) -> bool:
        end_ns: int = affect["t_ns"]
        return (end_ns - self._opened.origin_ns) % 1_000_000_000 == 0

    def _line(self, affect: Mapping[str, Any]) -> str:
        line = status_line.line(affect, status_line.since(self._opened.origin_ns, affect["t_ns"]))
        return line if len(self._opened.sources) == 1 else f"{line}  {affect['source']}"
