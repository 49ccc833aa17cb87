"""Turns what the overlay shows into plain data for its page, which only draws it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from normtr.cause import Cause
from stream.overlay.state import Shown, within
from stream.views.history import SECONDS, Column
from stream.views.labels_and_colours import (
    CAUSE_LOOKS,
    emotion_colour,
    ink,
    look,
    name,
    reason,
)


def page_state(shown: Shown) -> dict[str, Any]:
    """Return the data as JSON's types; runs of equal seconds are joined."""
    return {
        "fresh": shown.fresh,
        "badge": {"on": shown.capture.on, "says": shown.capture.saying},
        "headline": shown.headline,
        "named": bool(shown.top),
        "confidence": shown.confidence,
        "bars": [
            {"label": label, "share": share, "colour": emotion_colour(label)}
            for label, share in shown.bars
        ],
        "lights": [
            {"name": name(light.modality), "on": light.lit, "says": light.saying}
            for light in shown.lights
        ],
        "seconds": SECONDS,
        "emotions": list(_emotions(shown.columns)),
        "gaps": [
            {
                "name": name(light.modality),
                "runs": list(_causes(shown.columns, light.modality)),
            }
            for light in shown.lights
        ],
        "legend": [_entry(cause) for cause in _missing(shown.columns)],
        "note": shown.note,
        "spoken": shown.spoken(),
    }


def _emotions(columns: Iterable[Column]) -> Iterator[dict[str, Any]]:
    """Yield runs of one top label; `label` is empty without an estimate or with abstention."""

    for label, run in groupby(columns, lambda column: "" if column.abstained else column.top):
        levels = [max(column.levels.values(), default=0.0) for column in run]
        yield {
            "label": label,
            "levels": [within(level) for level in levels],
            "colour": emotion_colour(label),
        }


def _causes(columns: Iterable[Column], modality: str) -> Iterator[dict[str, Any]]:
    """Yield runs of one cause; it is empty where nothing was told."""
    for cause, run in groupby(columns, lambda column: column.causes.get(modality, "")):
        yield {"seconds": len(list(run)), "cause": cause, "says": reason(modality, cause)}


def _missing(columns: Iterable[Column]) -> list[str]:
    """Return the causes of gaps, each once, always in the same order."""
    seen = {cause for column in columns for cause in column.causes.values()} - {"", Cause.NONE}
    return [cause for cause in CAUSE_LOOKS if cause in seen] + sorted(seen - set(CAUSE_LOOKS))


def _entry(cause: str) -> dict[str, str]:
    colour = look(cause).colour
    return {
        "cause": cause,
        "says": look(cause).text,
        "mark": look(cause).mark,
        "colour": colour,
        "ink": ink(colour),
    }
