"""The overlay's colours, for dark and light desktops, and grey where data stopped."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtGui import QColor

from stream.views.labels_and_colours import emotion_colour, look

FAINTEST = 0.45
"""The opacity at confidence 0, at which text stays legible."""


@dataclass(frozen=True)
class Theme:
    panel: QColor
    edge: QColor
    text: QColor
    dim: QColor
    track: QColor
    """The background of bars and strips."""
    alarm: QColor
    """The colour of the dot that says that a person is captured."""

    def emotion(self, label: str, fresh: bool, opacity: float = 1.0) -> QColor:
        colour = QColor(emotion_colour(label))
        colour = colour if fresh else grey(colour)
        colour.setAlphaF(opacity)
        return colour

    def cause(self, cause: str, fresh: bool) -> QColor:
        colour = QColor(look(cause).colour)
        return colour if fresh else grey(colour)


DARK = Theme(
    panel=QColor(22, 24, 29, 224),
    edge=QColor(255, 255, 255, 40),
    text=QColor(243, 244, 246),
    dim=QColor(178, 184, 195),
    track=QColor(255, 255, 255, 26),
    alarm=QColor(255, 92, 92),
)
LIGHT = Theme(
    panel=QColor(250, 250, 252, 232),
    edge=QColor(0, 0, 0, 48),
    text=QColor(22, 24, 29),
    dim=QColor(78, 84, 96),
    track=QColor(0, 0, 0, 22),
    alarm=QColor(196, 22, 28),
)


def grey(colour: QColor) -> QColor:
    """Return a grey that is as light as the colour looks."""
    level = round(0.299 * colour.red() + 0.587 * colour.green() + 0.114 * colour.blue())
    return QColor(level, level, level, colour.alpha())


def opacity(confidence: float) -> float:
    return FAINTEST + (1.0 - FAINTEST) * confidence
