"""A part of the overlay's window: it draws its share of a `Shown` and has a name for screen
readers."""

from __future__ import annotations

import html
from collections.abc import Iterable

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from stream.overlay.state import Shown
from stream.overlay.theme import DARK, Theme

LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
CENTRE = Qt.AlignmentFlag.AlignCenter


class WindowPart(QWidget):
    """The base of all parts.

    `scale` is the size of its letters relative to the desktop's; `lines` is its height in such
    lines.
    """

    def __init__(self, name: str, scale: float, lines: float, grows: bool = False) -> None:
        super().__init__()
        self.setAccessibleName(name)
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * scale)
        self.setFont(font)
        self._lines = lines
        vertical = QSizePolicy.Policy.Expanding if grows else QSizePolicy.Policy.Fixed
        self.setSizePolicy(QSizePolicy.Policy.Expanding, vertical)
        self.shown: Shown | None = None
        self.theme: Theme = DARK
        self._look: tuple[object, ...] = ()

    def take(self, shown: Shown, theme: Theme) -> None:
        self.shown, self.theme = shown, theme
        look = (theme, shown.fresh, self.drawn(shown))
        if look == self._look:
            return
        self._look = look
        told = self.describe(shown)
        if told != self.accessibleDescription():
            self.setAccessibleDescription(told)
        self.update()

    def drawn(self, shown: Shown) -> object:
        """Return all that is drawn; while this stays the same, nothing is drawn anew."""
        raise NotImplementedError

    def describe(self, shown: Shown) -> str:
        raise NotImplementedError

    def draw(self, painter: QPainter, shown: Shown) -> None:
        raise NotImplementedError

    def line_height(self) -> float:
        return QFontMetricsF(self.font()).height()

    def sizeHint(self) -> QSize:
        return QSize(160, round(self._lines * self.line_height()))

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        if self.shown is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self.font())
        self.draw(painter, self.shown)

    def write(
        self, painter: QPainter, box: QRectF, text: str, colour: QColor, align: Qt.AlignmentFlag
    ) -> None:
        fitting = QFontMetricsF(painter.font()).elidedText(
            text, Qt.TextElideMode.ElideRight, box.width()
        )
        painter.setPen(colour)
        painter.drawText(box, align | Qt.TextFlag.TextSingleLine, fitting)

    def dot(self, painter: QPainter, centre: QPointF, lit: bool, colour: QColor) -> None:
        """Draw a filled dot if lit, else a ring, so that no colour is needed to tell them apart."""
        radius = self.line_height() * (0.26 if lit else 0.21)
        painter.setPen(Qt.PenStyle.NoPen if lit else QPen(colour, 1.6))
        painter.setBrush(colour if lit else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(centre, radius, radius)


def fitting(texts: Iterable[str], width: float, metrics: QFontMetricsF) -> str:
    """Return the first text that has room; empty if none has."""
    return next((text for text in texts if metrics.horizontalAdvance(text) <= width), "")


def resized(font: QFont, factor: float) -> QFont:
    out = QFont(font)
    out.setPointSizeF(font.pointSizeF() * factor)
    return out


def as_tip(text: str) -> str:
    """Return the text as a tooltip without markup, because it came over the wire."""
    return f"<qt>{html.escape(text).replace(chr(10), '<br>')}</qt>" if text else ""
