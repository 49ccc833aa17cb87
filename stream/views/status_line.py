"""The live status in one line of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream.views.labels_and_colours import NOTHING, look


def line(affect: Mapping[str, Any], at: str) -> str:
    """Return an `affect` payload as one line, for files and terminals that cannot redraw.

    `at` says when it was.
    """
    shown = affect.get("smoothed") or affect
    lights = " ".join(
        f"{modality}={look(gaps[-1]).text.replace(' ', '_')}"
        for modality, gaps in affect["gaps"].items()
    )
    return f"{at}  {verdict(shown):<18} {shown['confidence']:4.0%}  {lights}"


def since(begin_ns: int, at_ns: int) -> str:
    """Return the seconds of a session as text."""
    return f"{(at_ns - begin_ns) / 1e9:8.2f} s"


def verdict(shown: Mapping[str, Any]) -> str:
    """Return the label to show for an `affect` payload or its `smoothed` part."""
    top: str = NOTHING if shown["abstained"] else shown["top"]
    return top
