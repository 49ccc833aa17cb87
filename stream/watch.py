"""`normtr watch`: subscribe and show topics in the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from normtr.config import parse
from stream import recording, view
from stream.affect_table import AffectTable
from stream.client import subscribe
from stream.history import History
from stream.interrupts import Interrupts
from stream.received import Affect, Notify, Received
from stream.subscriber_config import SubscriberConfig
from stream.terminal import Screen, unless_gone
from stream.wire import PREFIX, Message

SILENT_S = 1.5

Heard = Iterator[Received | None]
"""What arrives; None after each `SILENT_S` without anything."""


@dataclass(frozen=True)
class Watch(SubscriberConfig):
    """Subscribe to a recognizer and show what it publishes."""

    topic: str = PREFIX
    """Only topics that begin like this, e.g. er.v1.affect."""
    json: bool = False
    """One JSON object a line on standard output: {"topic": ..., "payload": ...}."""
    csv: Path | None = None
    """Write every estimate into this table, one row each."""
    seconds: float | None = None
    """End after so many seconds."""


class _Chart:
    """What was heard last of each source, and what happened last."""

    def __init__(self, address: str) -> None:
        self._waiting = Text(
            f"nothing arrives from {address}; is `normtr live` running?", style="dim"
        )
        self._session = ""
        self._sources: dict[str, tuple[Affect, History]] = {}
        self._event = Text()

    def add(self, message: Received) -> None:
        if message.session != self._session:
            self._session = message.session
            self._sources.clear()
            self._event = Text()
        if isinstance(message, Affect):
            _, history = self._sources.get(message.source, (message, History()))
            history.add(message)
            self._sources[message.source] = message, history
        elif isinstance(message, Notify):
            where = f"{message.modality}: " if message.modality else ""
            self._event = Text(f"{where}{message.detail or message.kind}", style="dim")

    def render(self, silent: bool) -> RenderableType:
        parts: list[RenderableType] = [self._waiting] if silent else []
        for source, (affect, history) in self._sources.items():
            replay = "replay of " if affect.replay else ""
            if len(self._sources) > 1:
                parts.append(Text(f"{source}{view.line(affect.payload, 0)}"))
            elif not silent:
                session = f"{replay}session {affect.session} {source}"
                parts.append(view.status(affect.payload, session.strip()))
            parts.append(view.history(affect, history.columns()))
        return Group(*parts, self._event) if self._event else Group(*parts)


def messages(config: Watch) -> Heard:
    """Subscribe until `config.seconds` are over. Raises UserError."""
    until = None if config.seconds is None else time.monotonic() + config.seconds
    with subscribe(config.topic, address=config.address, keys=config.keys) as subscription:
        while until is None or time.monotonic() < until:
            left_s = SILENT_S if until is None else min(SILENT_S, until - time.monotonic())
            try:
                yield subscription.receive(max(left_s, 0.0))
            except TimeoutError:
                yield None


def run(argv: list[str]) -> int:
    config = parse(Watch, argv, "watch")
    interrupts = Interrupts()
    try:
        table = None if config.csv is None else AffectTable(config.csv)
        with nullcontext() if table is None else closing(table), unless_gone(sys.stdout):
            _show(config, _tabled(messages(config), table))
    except KeyboardInterrupt:
        pass
    return interrupts.status


def _tabled(heard: Heard, table: AffectTable | None) -> Heard:
    for message in heard:
        if table is not None and isinstance(message, Affect):
            table.add(message)
        yield message


def _show(config: Watch, heard: Heard) -> None:
    console = Screen()
    if config.json:
        for message in filter(None, heard):
            wire = Message(message.topic, dict(message.payload))
            print(recording.line(wire), end="", flush=True)
    elif console.is_terminal:
        _draw(console, _Chart(config.address), heard)
    else:
        for message in filter(None, heard):
            if isinstance(message, Affect):
                print(view.line(message.payload, 0), flush=True)


def _draw(console: Screen, chart: _Chart, heard: Heard) -> None:
    with Live(chart.render(silent=True), console=console, auto_refresh=False) as screen:
        screen.refresh()
        for message in heard:
            if not console.is_terminal:
                return  # it was closed; Rich would draw nothing from now on
            if message is not None:
                chart.add(message)
            if message is None or isinstance(message, Affect):
                screen.update(chart.render(silent=message is None), refresh=True)
