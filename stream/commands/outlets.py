"""Where the messages of `normtr live` go: the socket, the recordings, the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live as Redraw

from stream.commands import sd_notify
from stream.commands.doors import Doors
from stream.commands.live_config import Live
from stream.pipeline.events import Heard, Seen, Word
from stream.pipeline.outputs import Notice, Output
from stream.pipeline.window_assembler import Estimate
from stream.publish.control_handlers import Desk
from stream.publish.gap_recorder import GapRecorder
from stream.publish.messages import Messages
from stream.publish.previews import Previews
from stream.publish.recording import Recorder
from stream.session.session import Opened
from stream.views import status
from stream.wire import AFFECT, FRAME, HEALTH, INFO, TEXT, Message


class Outlets:
    """Where a session's messages go. Closes the files at its end; the doors are the caller's."""

    def __init__(self, config: Live, opened: Opened, doors: Doors, console: Console) -> None:
        checkpoint = opened.models.checkpoint
        self.messages = Messages(opened.session, checkpoint.sha256, checkpoint.labels, opened.name)
        self._config = config
        self._opened = opened
        self._console = console
        self._shown: list[Word] = []
        self._newest: dict[str, Mapping[str, Any]] = {}  # `affect`, by source
        self._publisher, self._lsl = doors.publisher, doors.lsl
        self._previews = Previews(opened.models.checkpoint, config.faces, config.frames)
        self._desk = None if doors.control is None else Desk(config, opened)
        self._control = doors.control
        self._recorder = None if config.record is None else Recorder(config.record)
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

    def __enter__(self) -> Outlets:
        self.info(0 if self._opened.virtual else time.monotonic_ns())
        if self._control is not None and self._desk is not None:
            self._control.serve(self._desk.verbs)
        if self._redraw is not None:
            self._redraw.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._redraw is not None:
            self._redraw.stop()
        for file in (self._recorder, self._gaps):
            if file is not None:
                file.close()

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
                status.status(affect, self._capture, words)
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
        line = status.line(affect, status.since(self._opened.origin_ns, affect["t_ns"]))
        return line if len(self._opened.sources) == 1 else f"{line}  {affect['source']}"
