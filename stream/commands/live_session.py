"""One session of `normtr live`, from loading the networks to its last message."""

from __future__ import annotations

import dataclasses
import gc
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import assert_never

from rich.console import Console

from normtr import data_folder
from stream.commands import sd_notify
from stream.commands.doors import Doors
from stream.commands.live_config import Live
from stream.interrupts import Interrupts
from stream.overlay.process import overlay_beside
from stream.pipeline.events import Seen, TranscriptEvent, Word
from stream.pipeline.outputs import HealthReport, Notice
from stream.pipeline.window_assembler import Estimate
from stream.publish.control_handlers import ControlHandlers, Controlled
from stream.publish.gap_recorder import GapRecorder
from stream.publish.messages import Messages
from stream.publish.outgoing import Outgoing
from stream.publish.previews import Previews
from stream.publish.recording import Recorder
from stream.publish.sink import Sink
from stream.session.session import Opened, open_session
from stream.views.live_terminal import LiveTerminal
from stream.views.summary import Summary
from stream.wire import NoticeKind

DRAWN_WORDS = 10_000
"""At most this many of the last words are drawn."""


@dataclass(frozen=True)
class Recognised:
    """What remains of a session when it is over."""

    name: str
    summaries: dict[str, Summary]
    """The summary of each source."""
    words: list[Word]
    """The words to draw; empty unless both words and a drawing were asked for."""


def recognise(config: Live, doors: Doors, console: Console, interrupts: Interrupts) -> Recognised:
    """Run until the source ends or it is interrupted. Raises UserError."""

    def say(sentence: str) -> None:
        console.print(sentence, soft_wrap=True, markup=False, highlight=False)

    opened = open_session(config, wait=sd_notify.wanted(), say=say)
    where = "in virtual time" if opened.virtual else f"publishing at {config.bind}"
    say(f"{'Reading' if opened.captures else 'Playing'} {opened.name}, {where}")
    labels = opened.models.checkpoint.labels
    summaries = {source: Summary(labels, opened.origin_ns) for source in opened.sources}
    words: dict[int, Word] = {}
    with ExitStack() as stack:
        own = [
            stack.enter_context(closing(sink)) for sink in _sinks(config, opened, doors, console)
        ]
        outgoing = _outgoing(config, opened, [*doors.sinks, *own])
        outgoing.start(0 if opened.virtual else time.monotonic_ns())
        if config.overlay:
            stack.enter_context(overlay_beside(config.bind, config.requests))
        gc.freeze()  # the models stay; the collector need not walk them at every tick
        interrupts.running = True
        sent_ns = opened.origin_ns
        for sent_ns, output in opened.stream:
            outgoing.give(sent_ns, output)
            match output:
                case Estimate():
                    first = not any(summary.estimates for summary in summaries.values())
                    sd_notify.tell("READY=1\nWATCHDOG=1" if first else "WATCHDOG=1")
                    summaries[output.source].add(sent_ns, output)
                    outgoing.tick()
                case TranscriptEvent():
                    if config.words and config.timeline is not None:
                        _keep(words, output)
                case Notice() | HealthReport() | Seen():
                    pass  # they only go out
                case _:
                    assert_never(output)
            if interrupts.asked:
                break
        sd_notify.tell("STOPPING=1")
        end_ns = sent_ns if opened.virtual else time.monotonic_ns()
        outgoing.give(end_ns, Notice(NoticeKind.STOPPING, end_ns))
    return Recognised(opened.name, summaries, list(words.values()))


def _sinks(config: Live, opened: Opened, doors: Doors, console: Console) -> Iterator[Sink]:
    """Yield the sinks that the config asks for, apart from those that `doors` opened."""
    if config.record is not None:
        yield Recorder(config.record)
    if config.record_gaps is not None:
        yield GapRecorder(config.record_gaps)
    if doors.control is not None:
        yield ControlHandlers(doors.control, _controlled(config, opened))
    quiet = sd_notify.wanted()  # nobody's feelings belong in the journal
    yield LiveTerminal(opened, console, words=config.words, quiet=quiet)


def _outgoing(config: Live, opened: Opened, sinks: Sequence[Sink]) -> Outgoing:
    checkpoint = opened.models.checkpoint
    return Outgoing(
        Messages(opened.session, checkpoint.sha256, checkpoint.labels, opened.name),
        Previews(checkpoint, config.faces, config.frames),
        sinks,
        opened.info,
        config.words,
    )


def _controlled(config: Live, opened: Opened) -> Controlled:
    assert opened.realtime is not None  # the control port is open in real time only
    return Controlled(
        [track.pipe for track in opened.realtime.source_sessions],
        opened.info,
        json.loads(json.dumps(dataclasses.asdict(config), default=str)),
        opened.models.checkpoint,
        opened.captures,
        opened.models.baseline is not None,
        config.personal or data_folder.calibration(),
    )


def _keep(words: dict[int, Word], heard: TranscriptEvent) -> None:
    """Keep the words by their id, as they are now."""
    words |= {word.id: word for word in heard.words}
    for change in heard.changes:
        if change.change == "revoke":
            words.pop(change.word.id, None)
    while len(words) > DRAWN_WORDS:
        words.pop(next(iter(words)))
