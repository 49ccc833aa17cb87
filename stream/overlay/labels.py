"""The overlay's lines of text: what is captured, the emotion, what happened."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter

from stream.overlay.part import LEFT, RIGHT, WindowPart, as_tip, resized
from stream.overlay.state import Shown
from stream.overlay.theme import Theme, opacity


class Badge(WindowPart):
    """Says whether a person is captured. While one is, it is never faded, greyed or hidden."""

    def __init__(self) -> None:
        super().__init__("capture", 0.85, 1.5)

    def drawn(self, shown: Shown) -> object:
        return shown.capture

    def describe(self, shown: Shown) -> str:
        return shown.capture.saying

    def draw(self, painter: QPainter, shown: Shown) -> None:
        capture, height = shown.capture, float(self.height())
        colour = self.theme.alarm if capture.on else self.theme.dim
        self.dot(painter, QPointF(height * 0.3, height / 2), capture.on, colour)
        font = QFont(painter.font())
        font.setBold(capture.on)
        painter.setFont(font)
        ink = self.theme.text if capture.on else self.theme.dim
        box = QRectF(height * 0.7, 0, self.width() - height * 0.7, height)
        self.write(painter, box, capture.saying, ink, LEFT)


class Headline(WindowPart):
    """The top emotion, or why none is named."""

    def __init__(self) -> None:
        super().__init__("emotion", 1.75, 1.25)

    def drawn(self, shown: Shown) -> object:
        return (shown.headline, shown.top, shown.confidence)

    def describe(self, shown: Shown) -> str:
        sure = f", confidence {shown.confidence:.0%}" if shown.top else ""
        return shown.headline + sure

    def draw(self, painter: QPainter, shown: Shown) -> None:
        box = QRectF(self.rect())
        if not shown.top:
            painter.setFont(resized(painter.font(), 0.75))
            self.write(painter, box, shown.headline, self.theme.dim, LEFT)
            return
        painter.setOpacity(opacity(shown.confidence))
        mark = QRectF(0, box.height() * 0.16, 5, box.height() * 0.68)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.theme.emotion(shown.top, shown.fresh))
        painter.drawRoundedRect(mark, 2.5, 2.5)
        figure = f"{shown.confidence:.0%}"
        room = QFontMetricsF(painter.font()).horizontalAdvance("100%") + 8
        self.write(painter, box, figure, self.theme.text, RIGHT)
        bold = QFont(painter.font())
        bold.setBold(True)
        painter.setFont(bold)
        self.write(painter, box.adjusted(14, 0, -room, 0), shown.headline, self.theme.text, LEFT)


class Note(WindowPart):
    """A notice, shown for some seconds."""

    def __init__(self) -> None:
        super().__init__("note", 0.8, 1.3)

    def drawn(self, shown: Shown) -> object:
        return shown.note

    def describe(self, shown: Shown) -> str:
        return shown.note

    def take(self, shown: Shown, theme: Theme) -> None:
        self.setToolTip(as_tip(shown.note))
        super().take(shown, theme)

    def draw(self, painter: QPainter, shown: Shown) -> None:
        self.write(painter, QRectF(self.rect()), shown.note, self.theme.dim, LEFT)
