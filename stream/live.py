"""`normtr live`: recognise from webcam and microphone or a clip, publish, show."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live as Redraw

from normtr.config import parse
from normtr.errors import UsageError, UserError
from stream import sd_notify, timeline, view
from stream.control import Control
from stream.control_client import beside
from stream.desk import Desk
from stream.endpoint import check
from stream.events import Heard, Seen, Word
from stream.gap_recorder import GapRecorder
from stream.interrupts import Interrupts
from stream.lsl import LslOutlets
from stream.messages import Messages
from stream.outputs import Notice, Output
from stream.overlay import command as overlay
from stream.overlay.process import overlay_beside
from stream.previews import Previews
from stream.publisher import Publisher
from stream.recognizer import Estimate
from stream.recording import Recorder
from stream.session import Opened, SourceConfig, open_session
from stream.summary import Summary
from stream.terminal import Patient
from stream.wire import ADDRESS, AFFECT, FRAME, HEALTH, INFO, TEXT, Message

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
    bind: str = ADDRESS
    """Where to publish; other machines only with --curve-keys."""
    control: str | None = None
    """Where requests are answered, or `off`; without it on the port after that of --bind."""
    curve_keys: Path | None = None
    """Folder of CURVE keys (`normtr keys`): only the clients on its list are served."""
    words: bool = False
    """Publish and show the words (`er.v1.text`); they identify people, so only when asked for."""
    overlay: bool = False
    """Show it on the desktop, too, as `normtr overlay` does."""
    lsl: bool = False
    """Send the estimates to Lab Streaming Layer, too; everyone on the network can read them."""
    faces: bool = False
    """Publish where each face is and what it alone says (`er.v1.face`) to who subscribes to it."""
    frames: bool = False
    """Publish small pictures of the camera (`er.v1.frame`) to who subscribes to it."""

    @property
    def requests(self) -> str:
        """The address of the control port, or `off`."""
        return self.control or beside(self.bind)

    def __post_init__(self) -> None:
        """Raises UsageError for what has no meaning together."""
        super().__post_init__()
        self.of_one_source("timeline", "record_gaps")
        if self.fast and self.source is None:
            raise UsageError("--fast plays a clip in virtual time; give one with --source FILE.")
        if self.fast and self.lsl:
            raise UsageError("--lsl sends in real time; leave --fast out.")
        if self.overlay and self.fast:
            raise UsageError("--overlay shows what happens now; leave --fast out.")
        if self.overlay and self.curve_keys is not None:
            raise UsageError("--overlay has no keys to open a locked recognizer; leave it out.")


class _Outlets:
    """Where messages go: the socket, the recording, the terminal."""

    def __init__(self, config: Live, opened: Opened, console: Console) -> None:
        checkpoint = opened.models.checkpoint
        self.messages = Messages(opened.session, checkpoint.sha256, checkpoint.labels, opened.name)
        self._config = config
        self._opened = opened
        self._console = console
        self._shown: list[Word] = []
        self._newest: dict[str, Mapping[str, Any]] = {}  # `affect`, by source
        # In virtual time nobody can follow; the recording is the output.
        self._publisher = None if opened.virtual else Publisher(config.bind, config.curve_keys)
        self._previews = Previews(opened.models.checkpoint, config.faces, config.frames)
        self._desk: Desk | None = None
        self._control: Control | None = None
        if not opened.virtual and config.requests != "off":
            self._desk = Desk(config, opened)
            self._control = Control(config.requests, self._desk.verbs, config.curve_keys)
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
        if self._redraw is not None:
            self._redraw.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._redraw is not None:
            self._redraw.stop()
        for file in (self._recorder, self._gaps):
            if file is not None:
                file.close()
        if self._lsl is not None:
            self._lsl.close()
        if self._control is not None:
            self._control.close()
        if self._publisher is not None:
            self._publisher.close()

    def info(self, sent_ns: int) -> None:
        self._send(self.messages.envelope(INFO, sent_ns, sent_ns, self._opened.info()))

    def give(self, sent_ns: int, output: Output) -> None:
        if self._gaps is not None and isinstance(output, Estimate):
            self._gaps.add(output)
        if isinstance(output, Heard):
            self._shown = list(output.words[-12:])
        elif isinstance(output, Seen):
            for topic, body in self._previews.of(output, self._wanted):
                self._send(
                    self.messages.envelope(topic, output.at_ns, sent_ns, body, output.source)
                )
        for message in self.messages.of(sent_ns, output):
            if message.topic != TEXT or self._config.words:
                self._send(message)
            if message.topic == AFFECT:
                self._show(message.payload)
            elif isinstance(output, Notice) and output.detail and not self._opened.virtual:
                of = output.source if len(self._opened.sources) > 1 else ""
                where = "".join(f"{word}: " for word in (of, output.modality) if word)
                self._console.print(f"{where}{output.detail}", soft_wrap=True)

    def answer(self, estimate: Estimate) -> None:
        """Once a tick: `info` again for who has subscribed to it, and what the desk has to say."""
        if self._publisher is not None and self._publisher.info_wanted():
            self.info(time.monotonic_ns())
        if self._desk is not None and (notice := self._desk.add(estimate)) is not None:
            self.give(time.monotonic_ns(), notice)

    def _wanted(self, topic: str) -> bool:
        """Whether a message of the topic would be of use. Pictures of people are not recorded."""
        if topic != FRAME and self._recorder is not None:
            return True
        return self._publisher is not None and self._publisher.wanted(topic)

    def _send(self, message: Message) -> None:
        if self._publisher is not None:
            self._publisher.send(message)
        if self._recorder is not None and message.topic != FRAME:
            self._recorder.write(message)
        if self._lsl is not None and message.topic == AFFECT:
            self._lsl.push(message.payload)
        if self._desk is not None and message.topic == HEALTH:
            self._desk.health[message.payload["source"]] = message.payload

    def _show(self, affect: Mapping[str, Any]) -> None:
        words = [word.word.text for word in self._shown] if self._config.words else []
        self._newest[affect["source"]] = affect
        if self._redraw is not None:
            seen = (
                view.status(affect, self._capture, words)
                if len(self._opened.sources) == 1
                else Group(*map(self._line, self._newest.values()), self._capture)
            )
            self._redraw.update(seen, refresh=True)
        elif sd_notify.wanted():
            return  # the journal is no place for what somebody felt
        elif not self._opened.virtual and self._is_whole_second(affect):
            print(self._line(affect), file=self._console.file)

    def _is_whole_second(self, affect: Mapping[str, Any]) -> bool:
        end_ns: int = affect["t_ns"]
        return (end_ns - self._opened.origin_ns) % 1_000_000_000 == 0

    def _line(self, affect: Mapping[str, Any]) -> str:
        line = view.line(affect, view.since(self._opened.origin_ns, affect["t_ns"]))
        return line if len(self._opened.sources) == 1 else f"{line}  {affect['source']}"


def run(argv: list[str]) -> int:
    config = parse(Live, argv, "live")
    interrupts = Interrupts()
    out, error_out = Patient(sys.stdout), Patient(sys.stderr)
    try:
        _recognise(config, out, error_out.console(), interrupts)
        status = interrupts.status
    except KeyboardInterrupt:
        status = interrupts.status
    except UserError as error:
        print(f"normtr live: {error}", file=error_out)
        status = error.status
    out.close()
    error_out.close()
    if "pytest" not in sys.modules:
        os._exit(status)  # a thread that hangs in a driver must not keep the process alive
    return status


def _recognise(config: Live, out: Patient, console: Console, interrupts: Interrupts) -> None:
    for path in (config.record, config.record_gaps, config.timeline):
        if path is not None and not path.absolute().parent.is_dir():
            raise UserError(f"there is no folder {path.absolute().parent} for {path.name}.")
    for address, option in ((config.bind, "--bind"), (config.requests, "--control")):
        if address != "off":
            check(address, option, config.curve_keys)
    if config.overlay:
        overlay.check()
    opened = open_session(config, wait=sd_notify.wanted())
    if opened.remark:
        console.print(f"{opened.remark} Playing the demo clip instead.", soft_wrap=True)
    labels = opened.models.checkpoint.labels
    summaries = {source: Summary(labels, opened.origin_ns) for source in opened.sources}
    words: dict[int, Word] = {}
    window = (
        overlay_beside(config.bind, config.requests) if config.overlay else contextlib.nullcontext()
    )
    with _Outlets(config, opened, console) as outlets, window:
        gc.freeze()  # the models stay; the collector need not walk them at every tick
        interrupts.running = True
        sent_ns = opened.origin_ns
        for sent_ns, output in opened.stream:
            outlets.give(sent_ns, output)
            if isinstance(output, Estimate):
                first = not any(summary.estimates for summary in summaries.values())
                sd_notify.tell("READY=1\nWATCHDOG=1" if first else "WATCHDOG=1")
                summaries[output.source].add(sent_ns, output)
                outlets.answer(output)
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
    shown = out.console()
    for source, summary in summaries.items():
        if len(summaries) > 1:
            shown.rule(source)
        shown.print(summary.render())
    summary = summaries[opened.sources[0]]
    if config.timeline is not None and summary.estimates:
        timeline.draw(config.timeline, summary, list(words.values()), opened.name)
