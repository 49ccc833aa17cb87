"""`normtr watch` subscribes and shows topics in the terminal."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

from normtr.config import parse
from normtr.errors import UserError
from normtr.whole_file import refuse_existing
from stream.client import subscribe
from stream.client.connection import HIGH_WATER
from stream.client.received import Affect, Received
from stream.client.subscriber_config import SubscriberConfig
from stream.client.subscription import Subscription
from stream.interrupts import Interrupts
from stream.publish import recording
from stream.views import status_line
from stream.views.affect_table import AffectTable
from stream.views.terminal import unless_gone
from stream.views.time_of_day import TimeOfDay
from stream.wire import AFFECT, INFO, PREFIX, Message

SILENT_S = 1.5
WAITING = 100_000
"""This many messages may wait when all of them are written: some hours of a session, 100 MB."""

Heard = Iterator[Received | None]
"""The messages that arrive; a None after each `SILENT_S` without any."""


@dataclass(frozen=True)
class Watch(SubscriberConfig):
    """Subscribe to a recognizer and show what it publishes."""

    topic: str = PREFIX
    """Show only topics that begin with this, such as er.v1.affect."""
    json: bool = False
    """Print one JSON object a line: {"topic": ..., "payload": ...}."""
    csv: Path | None = None
    """Write every estimate into this table, one row each."""
    force: bool = False
    """Replace the table if it exists."""
    seconds: float | None = None
    """End after this many seconds."""

    def __post_init__(self) -> None:
        """Raise ValueError or UsageError for values that cannot be."""
        super().__post_init__()
        if self.seconds is not None and not self.seconds > 0:
            raise ValueError(f"--seconds must be above 0, not {self.seconds:g}")


def run(argv: list[str]) -> int:
    config = parse(Watch, argv, "watch")
    interrupts = Interrupts()
    if config.csv is not None:
        refuse_existing(config.csv, config.force)
    # A recognizer sends `info` to each new subscriber, even while nothing else happens.
    topics = config.topic, INFO
    waiting = WAITING if config.json or config.csv is not None else HIGH_WATER
    with subscribe(
        *topics, address=config.address, keys=config.keys, waiting=waiting
    ) as subscription:
        try:
            table = None if config.csv is None else AffectTable(config.csv)
            with nullcontext() if table is None else closing(table), unless_gone(sys.stdout):
                _show(config, _tabled(_heard(config, subscription), table))
        except KeyboardInterrupt:
            pass
        if subscription.session is None and config.seconds is not None and not interrupts.asked:
            raise UserError(f"within {config.seconds:g} s {_nothing(config.address)}")
        if lost := _lost(config, subscription):
            raise UserError(f"{lost} did not arrive, so what was written has holes.")
        return interrupts.status


def _lost(config: Watch, subscription: Subscription[Received]) -> str:
    """Return what should have been written and did not arrive; empty if nothing is missing."""
    if not config.json and config.csv is None:
        return ""
    written = config.topic if config.json else AFFECT
    lost = {t: n for t, n in subscription.lost_of.items() if n and t.startswith(written)}
    return " and ".join(f"{count} of {topic}" for topic, count in lost.items())


def _nothing(address: str) -> str:
    return (
        f"nothing arrives from {address}; start `normtr live`, or give the right --address "
        "(and --client-key and --server-key, where it has keys)."
    )


def _heard(config: Watch, subscription: Subscription[Received]) -> Heard:
    until = None if config.seconds is None else time.monotonic() + config.seconds
    while until is None or time.monotonic() < until:
        left_s = SILENT_S if until is None else min(SILENT_S, until - time.monotonic())
        try:
            yield subscription.receive(max(left_s, 0.0))
        except TimeoutError:
            if left_s == SILENT_S:
                yield None


def _tabled(heard: Heard, table: AffectTable | None) -> Heard:
    for message in heard:
        if table is not None and isinstance(message, Affect):
            table.add(message)
        yield message


def _told_if_silent(config: Watch, heard: Heard) -> Iterator[Received]:
    """Yield what arrives; say once on standard error when nobody publishes."""
    told = False
    for message in heard:
        if message is not None:
            yield message
        elif not told:
            print(f"normtr watch: {_nothing(config.address)}", file=sys.stderr)
        told = True


def _show(config: Watch, heard: Heard) -> None:
    if config.json:
        for message in _told_if_silent(config, heard):
            if message.topic.startswith(config.topic):
                wire = Message(message.topic, dict(message.payload))
                print(recording.line(wire), end="", flush=True)
    elif sys.stdout.isatty() and importlib.util.find_spec("rich"):
        from stream.views import chart  # Rich does not come with the bare package

        chart.draw(_nothing(config.address), heard)
    else:
        _print_lines(_told_if_silent(config, heard))


def _print_lines(messages: Iterator[Received]) -> None:
    times = TimeOfDay()
    sources: dict[str, None] = {}
    for message in messages:
        times.add(message)
        if isinstance(message, Affect):
            sources[message.source] = None
            of = f"  {message.source}" if len(sources) > 1 else ""
            print(status_line.line(message.payload, times.of(message.t_ns)) + of, flush=True)
