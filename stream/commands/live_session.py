"""One session of `normtr live`, from loading the networks to its last message."""

from __future__ import annotations

import contextlib
import gc
import time
from dataclasses import dataclass

from rich.console import Console

from stream.commands import sd_notify
from stream.commands.doors import Doors
from stream.commands.live_config import Live
from stream.commands.outlets import Outlets
from stream.interrupts import Interrupts
from stream.overlay.process import overlay_beside
from stream.pipeline.events import Heard, Word
from stream.pipeline.outputs import Notice
from stream.pipeline.window_assembler import Estimate
from stream.session.session import open_session
from stream.views.summary import Summary

DRAWN_WORDS = 10_000
"""So many of the last words can be drawn."""


@dataclass(frozen=True)
class Recognised:
    """What is left of a session when it is over."""

    name: str
    summaries: dict[str, Summary]
    """By source."""
    words: list[Word]
    """What is drawn; none unless words and a drawing were asked for."""


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
    window = (
        overlay_beside(config.bind, config.requests) if config.overlay else contextlib.nullcontext()
    )
    with Outlets(config, opened, doors, console) as outlets, window:
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
            elif isinstance(output, Heard) and config.words and config.timeline is not None:
                _keep(words, output)
            if interrupts.asked:
                break
        sd_notify.tell("STOPPING=1")
        end_ns = sent_ns if opened.virtual else time.monotonic_ns()
        outlets.give(end_ns, Notice("stopping", end_ns))
    return Recognised(opened.name, summaries, list(words.values()))


def _keep(words: dict[int, Word], heard: Heard) -> None:
    """Take in, by their numbers, the words as they stand now."""
    words |= {word.id: word for word in heard.words}
    for change in heard.changes:
        if change.change == "revoke":
            words.pop(change.word.id, None)
    while len(words) > DRAWN_WORDS:
        words.pop(next(iter(words)))
