"""`normtr live`: recognise from webcam and microphone or a clip, publish, show."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live as Redraw

from normtr.config import parse
from normtr.errors import UsageError, UserError
from stream import timeline, view
from stream.events import Heard, Word
from stream.messages import Messages
from stream.pipe import Notice, Output
from stream.publisher import Publisher
from stream.recognizer import Estimate
from stream.recording import Recorder
from stream.session import Opened, SourceConfig, open_session
from stream.summary import Summary
from stream.wire import AFFECT, INFO, TEXT, Message


@dataclass(frozen=True)
class Live(SourceConfig):
    """Recognise from webcam and microphone, or from --source FILE|URL, and publish."""

    record: Path | None = None
    """Write every published message here, one JSON line each."""
    timeline: Path | None = None
    """Draw the session into this PNG at the end."""
    bind: str = "tcp://127.0.0.1:5577"
    """Where to publish; this machine only."""
    words: bool = False
    """Publish and show the words (`er.v1.text`); they identify people, so only when asked for."""


class _Outlets:
    """Where messages go: the socket, the recording, the terminal."""

    def __init__(self, config: Live, opened: Opened, console: Console) -> None:
        self.messages = Messages(
            opened.session, opened.models.checkpoint.sha256, opened.models.checkpoint.labels
        )
        self._config = config
        self._opened = opened
        self._console = console
        self._shown: list[Word] = []
        # In virtual time nobody can follow; the recording is the output.
        self._publisher = None if opened.virtual else Publisher(config.bind)
        self._recorder = None if config.record is None else Recorder(config.record)
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

    def __enter__(self) -> _Outlets:
        self.info(0 if self._opened.virtual else time.monotonic_ns())
        if self._redraw is not None:
            self._redraw.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._redraw is not None:
            self._redraw.stop()
        if self._recorder is not None:
            self._recorder.close()
        if self._publisher is not None:
            self._publisher.close()

    def info(self, sent_ns: int) -> None:
        self._send(self.messages.envelope(INFO, sent_ns, sent_ns, self._opened.info()))

    def give(self, sent_ns: int, output: Output) -> None:
        if isinstance(output, Heard):
            self._shown = list(output.words[-12:])
        for message in self.messages.of(sent_ns, output):
            if message.topic != TEXT or self._config.words:
                self._send(message)
            if message.topic == AFFECT:
                self._show(message)
            elif isinstance(output, Notice) and output.detail and not self._opened.virtual:
                where = f"{output.modality}: " if output.modality else ""
                self._console.print(f"{where}{output.detail}", soft_wrap=True)

    def answer_subscribers(self) -> None:
        """Send `info` again when someone subscribed to it, at most once a tick."""
        if self._publisher is not None and self._publisher.info_wanted():
            self.info(time.monotonic_ns())

    def _send(self, message: Message) -> None:
        if self._publisher is not None:
            self._publisher.send(message)
        if self._recorder is not None:
            self._recorder.write(message)

    def _show(self, message: Message) -> None:
        words = [word.word.text for word in self._shown] if self._config.words else []
        if self._redraw is not None:
            self._redraw.update(view.status(message.payload, self._capture, words), refresh=True)
        elif not self._opened.virtual and message.payload["seq"] % 4 == 3:
            print(view.line(message.payload, self._opened.origin_ns), file=sys.stderr)


def run(argv: list[str]) -> int:
    config = parse(Live, argv, "live")
    if config.fast and config.source is None:
        raise UsageError("--fast plays a clip in virtual time; give one with --source FILE.")
    console = Console(stderr=True)
    status = 0
    try:
        status = _recognise(config, console, _Interrupts())
    except KeyboardInterrupt:
        status = 130
    except UserError as error:
        print(f"normtr live: {error}", file=sys.stderr)
        status = error.status
    _leave(status)
    return status


class _Interrupts:
    """Ctrl-C and SIGTERM end the session between two outputs, so that none is torn.

    Before the session, and for who asks twice, they end the program at once.
    """

    def __init__(self) -> None:
        self.running = self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        if self.asked or not self.running:
            raise KeyboardInterrupt
        self.asked = True


def _recognise(config: Live, console: Console, interrupts: _Interrupts) -> int:
    for path in (config.record, config.timeline):
        if path is not None and not path.absolute().parent.is_dir():
            raise UserError(f"there is no folder {path.absolute().parent} for {path.name}.")
    opened = open_session(config)
    if opened.remark:
        console.print(f"{opened.remark} Playing the demo clip instead.", soft_wrap=True)
    labels = opened.models.checkpoint.labels
    summary = Summary(labels, opened.origin_ns)
    words: dict[int, Word] = {}
    with _Outlets(config, opened, console) as outlets:
        gc.freeze()  # the models stay; the collector need not walk them at every tick
        interrupts.running = True
        sent_ns = opened.origin_ns
        for sent_ns, output in opened.stream:
            outlets.give(sent_ns, output)
            if isinstance(output, Estimate):
                summary.add(sent_ns, output)
                outlets.answer_subscribers()
            elif isinstance(output, Heard) and config.timeline is not None:
                words |= {word.id: word for word in output.words}
                for change in output.changes:
                    if change.change == "revoke":
                        words.pop(change.word.id, None)
            if interrupts.asked:
                break
        interrupts.running = False
        end_ns = sent_ns if opened.virtual else time.monotonic_ns()
        outlets.give(end_ns, Notice("stopping", end_ns))
    with contextlib.suppress(BrokenPipeError):
        Console().print(summary.render())
        if config.timeline is not None and len(summary):
            timeline.draw(config.timeline, summary, list(words.values()), opened.name)
    return 130 if interrupts.asked else 0


def _leave(status: int) -> None:
    """End now: a thread that hangs in a driver must not keep the process alive."""
    with contextlib.suppress(BrokenPipeError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    if "pytest" not in sys.modules:
        os._exit(status)
