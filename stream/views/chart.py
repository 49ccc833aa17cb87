"""Draws the newest estimates and the last minute in a terminal, for `normtr watch`."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from stream.client.received import Affect, Notify, Received
from stream.views import status, status_line
from stream.views.history import History
from stream.views.labels_and_colours import notice_text
from stream.views.time_of_day import TimeOfDay


class Screen(Console):
    """A console that leaves a closed pipe to `unless_gone`; Rich would end the program."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Chart:
    """Keeps the last estimates of each source and the last notice."""

    def __init__(self, waiting: str) -> None:
        self._waiting = Text(waiting, style="dim")
        self._session = ""
        self._sources: dict[str, tuple[Affect, History]] = {}
        self._times = TimeOfDay()
        self._event = Text()

    def add(self, message: Received) -> None:
        if message.session != self._session:
            self._session = message.session
            self._sources.clear()
            self._event = Text()
        self._times.add(message)
        if isinstance(message, Affect):
            _, history = self._sources.get(message.source, (message, History()))
            history.add(message)
            self._sources[message.source] = message, history
        elif isinstance(message, Notify):
            where = f"{message.modality}: " if message.modality else ""
            self._event = Text(f"{where}{notice_text(message.kind, message.detail)}", style="dim")

    def render(self, silent: bool) -> RenderableType:
        parts: list[RenderableType] = [self._waiting] if silent else []
        for source, (affect, history) in self._sources.items():
            replay = "replay of " if affect.replay else ""
            if len(self._sources) > 1:
                at = self._times.of(affect.t_ns)
                parts.append(Text(f"{source}  {status_line.line(affect.payload, at)}"))
            elif not silent:
                session = f"{replay}session {affect.session} {source}"
                parts.append(status.status(affect.payload, session.strip()))
            parts.append(status.history(affect, history.columns()))
        return Group(*parts, self._event) if self._event else Group(*parts)


def draw(waiting: str, received: Iterable[Received | None]) -> None:
    """Redraw the chart on standard output with each estimate.

    A None in `received` says that nothing arrives; then `waiting` is shown.
    """
    console = Screen()
    chart = Chart(waiting)
    with Live(chart.render(silent=True), console=console, auto_refresh=False) as screen:
        screen.refresh()
        for message in received:
            if not console.is_terminal:
                return  # it was closed; Rich would draw nothing from now on
            if message is not None:
                chart.add(message)
            if message is None or isinstance(message, Affect):
                screen.update(chart.render(silent=message is None), refresh=True)
