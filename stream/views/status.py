"""The live status in the terminal: emotions as bars, what is missing and why, latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from normtr.cause import Cause
from stream.client.received import Affect
from stream.views.history import Column
from stream.views.labels_and_colours import CAUSE_LOOKS, look
from stream.views.status_line import verdict

BAR = 20
COLOURS = {
    "angry": "red",
    "disgust": "green",
    "fear": "magenta",
    "happy": "yellow",
    "sad": "blue",
    "surprise": "cyan",
    "neutral": "white",
}
LEVELS = "▁▂▃▄▅▆▇█"


def status(affect: Mapping[str, Any], capture: str, words: Sequence[str] = ()) -> Panel:
    """Draw an `affect` payload as a panel.

    `capture` says what is being captured; it is always shown.
    """
    order = sorted(
        zip(affect["labels"], affect["probabilities"], strict=True), key=lambda pair: -pair[1]
    )
    bars = Text()
    room = _room(affect["labels"])
    for label, probability in order:
        filled = round(probability * BAR)
        style = COLOURS.get(label, "white")
        bars.append(f"{label:>{room}} ", style="bold" if label == affect["top"] else "")
        bars.append("█" * filled, style=style)
        bars.append("·" * (BAR - filled), style="dim")
        bars.append(f" {probability:4.0%}\n")
    lights = Text()
    for modality, gaps in affect["gaps"].items():
        cause = gaps[-1]
        lights.append("● ", style="green" if cause == Cause.NONE else "red")
        lights.append(f"{modality:<6}{look(cause).text:<16}")
        marks = "".join("▮" if gap == Cause.NONE else "▯" for gap in gaps)
        lights.append(f"{marks}\n", style="dim")
    shown = affect.get("smoothed") or affect
    head = Text.assemble(
        (verdict(shown), "bold"),
        f"   confidence {shown['confidence']:.0%}",
        (f"   latency {affect['latency_ms']['total']:.0f} ms", "dim"),
    )
    body = Table.grid(padding=(0, 3))
    body.add_row(bars, lights)
    parts: list[Any] = [head, Text(), body]
    if words:
        parts.append(Text(" ".join(words), style="italic"))
    return Panel(Group(*parts), title="normtr", subtitle=capture, width=84)


def history(affect: Affect, columns: Sequence[Column]) -> Text:
    """Draw the last minute: one row for each label, and one for the gaps of each modality.

    A second is empty if no estimate came, and dim if most of its estimates abstained.
    """
    rows = Text()
    room = _room(affect.labels)
    for label in affect.labels:
        rows.append(f"{label:>{room}} ", style="bold" if label == affect.top else "")
        for column in columns:
            level = min(max(column.levels.get(label, 0.0), 0.0), 1.0)
            mark = LEVELS[round(level * (len(LEVELS) - 1))] if column.levels else " "
            rows.append(mark, style="dim" if column.abstained else COLOURS.get(label, "white"))
        rows.append("\n")
    seen: dict[str, None] = {}
    for modality in affect.gaps:
        rows.append(f"{modality:>{room}} ")
        for column in columns:
            cause = column.causes.get(modality, "")
            seen[cause] = None
            rows.append(
                look(cause).mark if cause else " ",
                style="green" if cause == Cause.NONE else "red",
            )
        rows.append("\n")
    told = [f"{shown.mark} {shown.text}" for cause, shown in CAUSE_LOOKS.items() if cause in seen]
    return rows.append(f"{f'{len(columns)} s':>{room}} {'   '.join(told)}", style="dim")


def _room(labels: Sequence[str]) -> int:
    """Return the letters that the longest label needs."""
    return max(9, *map(len, labels))
