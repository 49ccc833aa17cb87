"""`normtr live`: recognise from webcam and microphone or a clip, publish, show."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.live import Live as Redraw

from normtr.config import parse
from normtr.errors import UsageError, UserError
from stream import sd_notify, timeline, view
from stream.events import Heard, Word
from stream.gap_recorder import GapRecorder
from stream.interrupts import Interrupts
from stream.lsl import LslOutlets
from stream.messages import Messages
from stream.outputs import Notice, Output
from stream.overlay import command as overlay
from stream.overlay.process import overlay_beside
from stream.publisher import Publisher
from stream.recognizer import Estimate
from stream.recording import Recorder
from stream.session import Opened, SourceConfig, open_session
from stream.summary import Summary
from stream.terminal import Screen, unless_gone
from stream.wire import AFFECT, INFO, TEXT, Message

DRAWN_WORDS = 10_000
"""So many of the last words can be drawn."""


@dataclass(frozen=True)
class Live(SourceConfig):
    """Recognise from webcam and microphone, or from --source FILE|URL, and publish."""

    record: Path | None = None
    """Write every published message here, one JSON line each."""
    record_gaps: Path | None = None
    """Write here why steps were missing, one JSON line each, and nothing else."""
    timeline: Path | None = None
    """Draw the session into this PNG at the end."""
    bind: str = "tcp://127.0.0.1:5577"
    """Where to publish; this machine only."""
    words: bool = False
    """Publish and show the words (`er.v1.text`); they identify people, so only when asked for."""
    overlay: bool = False
    """Show it on the desktop, too, as `normtr overlay` does."""
    lsl: bool = False
    """Send the estimates to Lab Streaming Layer, too; everyone on the network can read them."""


class _Outlets:
    """Where messages go: the socket, the recording, the terminal."""

    def __init__(self, config: Live, opened: Opened, console: Screen) -> None:
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
        self._lsl = LslOutlets() if config.lsl else None
        self._gaps = None if config.record_gaps is None else GapRecorder(config.record_gaps)
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
        with unless_gone(sys.stderr):
            if self._redraw is not None:
                self._redraw.start()
        return self

    def __exit__(self, *_: object) -> None:
        with unless_gone(sys.stderr):
            if self._redraw is not None:
                self._redraw.stop()
        for file in (self._recorder, self._gaps):
            if file is not None:
                file.close()
        if self._lsl is not None:
            self._lsl.close()
        if self._publisher is not None:
            self._publisher.close()

    def info(self, sent_ns: int) -> None:
        self._send(self.messages.envelope(INFO, sent_ns, sent_ns, self._opened.info()))

    def give(self, sent_ns: int, output: Output) -> None:
        if self._gaps is not None and isinstance(output, Estimate):
            self._gaps.add(output)
        if isinstance(output, Heard):
            self._shown = list(output.words[-12:])
        for message in self.messages.of(sent_ns, output):
            if message.topic != TEXT or self._config.words:
                self._send(message)
            with unless_gone(sys.stderr):
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
        if self._lsl is not None and message.topic == AFFECT:
            self._lsl.push(message.payload)

    def _show(self, message: Message) -> None:
        words = [word.word.text for word in self._shown] if self._config.words else []
        if self._redraw is not None:
            self._redraw.update(view.status(message.payload, self._capture, words), refresh=True)
        elif sd_notify.wanted():
            return  # the journal is no place for what somebody felt
        elif not self._opened.virtual and message.payload["seq"] % 4 == 3:
            print(view.line(message.payload, self._opened.origin_ns), file=sys.stderr)


def run(argv: list[str]) -> int:
    config = parse(Live, argv, "live")
    if config.fast and config.source is None:
        raise UsageError("--fast plays a clip in virtual time; give one with --source FILE.")
    if config.fast and config.lsl:
        raise UsageError("--lsl sends in real time; leave --fast out.")
    if config.fast and config.overlay:
        raise UsageError("--overlay shows what happens now; leave --fast out.")
    interrupts = Interrupts()
    try:
        _recognise(config, Screen(stderr=True), interrupts)
        status = interrupts.status
    except KeyboardInterrupt:
        status = interrupts.status
    except UserError as error:
        with unless_gone(sys.stderr):
            print(f"normtr live: {error}", file=sys.stderr)
        status = error.status
    _leave(status)
    return status


def _recognise(config: Live, console: Screen, interrupts: Interrupts) -> None:
    for path in (config.record, config.record_gaps, config.timeline):
        if path is not None and not path.absolute().parent.is_dir():
            raise UserError(f"there is no folder {path.absolute().parent} for {path.name}.")
    if config.overlay:
        overlay.check()
    opened = open_session(config, wait=sd_notify.wanted())
    if opened.remark:
        with unless_gone(sys.stderr):
            console.print(f"{opened.remark} Playing the demo clip instead.", soft_wrap=True)
    labels = opened.models.checkpoint.labels
    summary = Summary(labels, opened.origin_ns)
    words: dict[int, Word] = {}
    beside = overlay_beside(config.bind) if config.overlay else contextlib.nullcontext()
    with _Outlets(config, opened, console) as outlets, beside:
        gc.freeze()  # the models stay; the collector need not walk them at every tick
        interrupts.running = True
        sent_ns = opened.origin_ns
        for sent_ns, output in opened.stream:
            outlets.give(sent_ns, output)
            if isinstance(output, Estimate):
                sd_notify.tell("WATCHDOG=1" if summary.estimates else "READY=1\nWATCHDOG=1")
                summary.add(sent_ns, output)
                outlets.answer_subscribers()
            elif isinstance(output, Heard) and config.timeline is not None:
                words |= {word.id: word for word in output.words}
                for change in output.changes:
                    if change.change == "revoke":
                        words.pop(change.word.id, None)
                while len(words) > DRAWN_WORDS:
                    words.pop(next(iter(words)))
            if interrupts.asked:
                break
        sd_notify.tell("STOPPING=1")
        end_ns = sent_ns if opened.virtual else time.monotonic_ns()
        outlets.give(end_ns, Notice("stopping", end_ns))
    with unless_gone(sys.stdout):
        Screen().print(summary.render())
    if config.timeline is not None and summary.estimates:
        timeline.draw(config.timeline, summary, list(words.values()), opened.name)


def _leave(status: int) -> None:
    """End now: a thread that hangs in a driver must not keep the process alive."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    if "pytest" not in sys.modules:
        os._exit(status)
