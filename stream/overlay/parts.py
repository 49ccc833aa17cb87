"""What the overlay's window is made of: badge, headline, bars, history, lights, note.

Each draws its part of a `Shown` and has a name and a description for screen readers.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from stream.history import SECONDS, Column
from stream.legend import MARKS, NAMES, SAYING, reason
from stream.overlay.state import Shown, within
from stream.overlay.theme import DARK, Theme, ink_on, opacity

GLIDE_FRAMES, GLIDE_MS = 3, 50
UNHEARD = "No recognizer was heard yet. Start one with: normtr live"
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
CENTRE = Qt.AlignmentFlag.AlignCenter


class Part(QWidget):
    """`scale`: size of its letters beside the desktop's; `lines`: its height in lines of them."""

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
        """All that it draws; while this stays the same, nothing is drawn anew."""
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
        """Filled or a ring, so that it is told without the colour."""
        radius = self.line_height() * (0.26 if lit else 0.21)
        painter.setPen(Qt.PenStyle.NoPen if lit else QPen(colour, 1.6))
        painter.setBrush(colour if lit else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(centre, radius, radius)


class Badge(Part):
    """Whether a person is captured. It is never faded, greyed or hidden while one is."""

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


class Headline(Part):
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
            painter.setFont(_resized(painter.font(), 0.75))
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


class Bars(Part):
    """Every label's probability; the bars glide to it, unless motion is unwanted."""

    def __init__(self) -> None:
        super().__init__("probabilities", 0.9, 7 * 1.22)
        self.still = False
        self._from: dict[str, float] = {}
        self._frame = GLIDE_FRAMES
        self._glide = QTimer(self, interval=GLIDE_MS)
        self._glide.timeout.connect(self._next_frame)

    def take(self, shown: Shown, theme: Theme) -> None:
        previous = self.shown
        glides = not self.still and shown.fresh and previous is not None and previous.fresh
        if glides and previous is not None and shown.bars != previous.bars:
            self._from = dict(self._levels(previous))
            self._frame = 1
            self._glide.start()
        elif not glides:
            self._frame = GLIDE_FRAMES
            self._glide.stop()
        super().take(shown, theme)

    def drawn(self, shown: Shown) -> object:
        return (shown.bars, shown.top, shown.confidence)

    def describe(self, shown: Shown) -> str:
        return ", ".join(f"{label} {share:.0%}" for label, share in shown.bars)

    def draw(self, painter: QPainter, shown: Shown) -> None:
        if not shown.bars:
            painter.setPen(self.theme.dim)
            painter.drawText(QRectF(self.rect()), Qt.TextFlag.TextWordWrap, UNHEARD)
            return
        metrics = QFontMetricsF(painter.font())
        names = max(metrics.horizontalAdvance(label) for label, _ in shown.bars) + 10
        figures = metrics.horizontalAdvance("100%") + 8
        row = self.height() / len(shown.bars)
        width = self.width() - names - figures
        thick = min(row * 0.55, 9.0)
        faded = opacity(shown.confidence)
        levels = dict(self._levels(shown))
        for number, (label, share) in enumerate(shown.bars):
            top = number * row
            box = QRectF(0, top, self.width(), row)
            ink = self.theme.text if label == shown.top else self.theme.dim
            self.write(painter, box.adjusted(0, 0, -self.width() + names - 8, 0), label, ink, LEFT)
            self.write(painter, box, f"{share:.0%}", ink, RIGHT)
            bar = QRectF(names, top + (row - thick) / 2, width, thick)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self.theme.track)
            painter.drawRoundedRect(bar, thick / 2, thick / 2)
            if levels[label] * width >= 1:
                painter.setBrush(self.theme.emotion(label, shown.fresh, faded))
                bar.setWidth(levels[label] * width)
                radius = min(thick, bar.width()) / 2
                painter.drawRoundedRect(bar, radius, radius)

    def _levels(self, shown: Shown) -> Iterator[tuple[str, float]]:
        """As the bars stand now."""
        part = self._frame / GLIDE_FRAMES
        for label, share in shown.bars:
            begin = self._from.get(label, share)
            yield label, begin + (share - begin) * part

    def _next_frame(self) -> None:
        self._frame += 1
        if self._frame >= GLIDE_FRAMES:
            self._frame = GLIDE_FRAMES
            self._glide.stop()
        self.update()


class History(Part):
    """The last minute: the strongest label of each second, and each modality's gaps by cause."""

    def __init__(self) -> None:
        super().__init__("last minute", 0.75, 4.0, grows=True)

    def drawn(self, shown: Shown) -> object:
        return shown.columns

    def describe(self, shown: Shown) -> str:
        missing = {
            modality: sum(column.causes.get(modality, "none") != "none" for column in shown.columns)
            for modality in NAMES
        }
        told = (f"{NAMES[m]} missing for {seconds} s" for m, seconds in missing.items() if seconds)
        return f"{SECONDS} seconds; {', '.join(told) or 'nothing was missing'}"

    def draw(self, painter: QPainter, shown: Shown) -> None:
        box, each = QRectF(self.rect()), self.width() / SECONDS
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)  # five times as fast
        painter.setPen(QPen(self.theme.track, 1))
        for level in (0.0, 0.5, 1.0):
            at = box.bottom() - 0.5 - level * (box.height() - 1)
            painter.drawLine(QPointF(0, at), QPointF(box.width(), at))
        tops = [_strongest(column) for column in shown.columns]
        for number, (column, top) in enumerate(zip(shown.columns, tops, strict=True)):
            level = within(column.levels.get(top, 0.0)) * (box.height() - 1)
            faded = 0.3 if column.abstained else 0.9
            bar = QRectF(number * each + 0.5, box.bottom() - level, max(each - 1, 1), level)
            painter.fillRect(bar, self.theme.emotion(top, shown.fresh, faded))
        named = [t if not c.abstained else "" for t, c in zip(tops, shown.columns, strict=True)]
        metrics = QFontMetricsF(painter.font())
        for first, end, top in _runs(named):
            width = (end - first) * each
            if text := _fitting((top, top[:3]), width, metrics):
                highest = max(
                    within(column.levels.get(top, 0.0)) for column in shown.columns[first:end]
                )
                above = box.bottom() - highest * (box.height() - 1) - metrics.height()
                room = QRectF(first * each, max(above, 0), width, metrics.height())
                self.write(painter, room, text, self.theme.text, CENTRE)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and self.shown:
            number = min(max(int(event.pos().x() * SECONDS / max(self.width(), 1)), 0), SECONDS - 1)
            QToolTip.showText(event.globalPos(), _as_tip(_told(number, self.shown)), self)
            return True
        return super().event(event)


class Light(Part):
    """One modality: there or why not, and its gaps over the last minute."""

    def __init__(self, modality: str) -> None:
        super().__init__(NAMES.get(modality, modality), 0.9, 2.05)
        self.modality = modality

    def drawn(self, shown: Shown) -> object:
        causes = [column.causes.get(self.modality, "") for column in shown.columns]
        return [x for x in shown.lights if x.modality == self.modality], causes

    def describe(self, shown: Shown) -> str:
        return next((x.saying for x in shown.lights if x.modality == self.modality), "")

    def draw(self, painter: QPainter, shown: Shown) -> None:
        light = next((x for x in shown.lights if x.modality == self.modality), None)
        if light is None:
            return
        line, width = self.line_height(), float(self.width())
        colour = self.theme.cause("none", True) if light.lit else self.theme.dim
        self.dot(painter, QPointF(line * 0.35, line * 0.55), light.lit, colour)
        box = QRectF(line, 0, width - line, line * 1.1)
        room = QFontMetricsF(painter.font()).horizontalAdvance(self.accessibleName()) + 12
        self.write(painter, box, self.accessibleName(), self.theme.text, LEFT)
        ink = self.theme.dim if light.lit else self.theme.text
        self.write(painter, box.adjusted(room, 0, 0, 0), light.saying, ink, RIGHT)
        self._strip(painter, QRectF(0, line * 1.15, width, line * 0.72), shown)

    def _strip(self, painter: QPainter, strip: QRectF, shown: Shown) -> None:
        painter.fillRect(strip, self.theme.track)
        each = strip.width() / SECONDS
        font = _resized(painter.font(), 0.72)
        painter.setFont(font)
        metrics = QFontMetricsF(font)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        causes = [column.causes.get(self.modality, "") for column in shown.columns]
        for first, end, cause in _runs(causes):
            if not cause:
                continue
            run = QRectF(strip.left() + first * each, strip.top(), (end - first) * each, 0)
            run.setHeight(strip.height())
            colour = self.theme.cause(cause, shown.fresh)
            if cause == "none":  # a thin line, so that a gap is seen by its shape, too
                run.adjust(0, strip.height() * 0.36, 0, -strip.height() * 0.36)
                painter.fillRect(run, colour)
                continue
            painter.fillRect(run.adjusted(0.5, 0, -0.5, 0), colour)
            painter.setPen(QPen(self.theme.edge, 1))
            painter.drawRect(run.adjusted(0.5, 0.5, -0.5, -0.5))
            names = reason(self.modality, cause), SAYING.get(cause, ""), MARKS.get(cause, "?")
            if text := _fitting(names, run.width(), metrics):
                self.write(painter, run, text, ink_on(colour), CENTRE)


class Note(Part):
    """What happened, for some seconds."""

    def __init__(self) -> None:
        super().__init__("note", 0.8, 1.3)

    def drawn(self, shown: Shown) -> object:
        return shown.note

    def describe(self, shown: Shown) -> str:
        return shown.note

    def take(self, shown: Shown, theme: Theme) -> None:
        self.setToolTip(_as_tip(shown.note))
        super().take(shown, theme)

    def draw(self, painter: QPainter, shown: Shown) -> None:
        self.write(painter, QRectF(self.rect()), shown.note, self.theme.dim, LEFT)


def _strongest(column: Column) -> str:
    return max(column.levels, key=lambda label: column.levels[label], default="")


def _runs(names: list[str]) -> Iterator[tuple[int, int, str]]:
    """First, end and name of each stretch of the same name."""
    first = 0
    for number in range(1, len(names) + 1):
        if number == len(names) or names[number] != names[first]:
            yield first, number, names[first]
            first = number


def _fitting(texts: Iterable[str], width: float, metrics: QFontMetricsF) -> str:
    """The first that has room."""
    return next((text for text in texts if metrics.horizontalAdvance(text) <= width), "")


def _told(number: int, shown: Shown) -> str:
    """One second of the history in words."""
    column = shown.columns[number]
    ago = len(shown.columns) - 1 - number
    if not column.causes:
        return f"{ago} s ago: nothing arrived"
    top = _strongest(column)
    emotion = f"{top} {column.levels[top]:.0%}" if top else "no estimate"
    gaps = (
        f"{NAMES.get(modality, modality)}: {reason(modality, cause)}"
        for modality, cause in column.causes.items()
    )
    return "\n".join((f"{ago} s ago: {emotion}", *gaps))


def _resized(font: QFont, factor: float) -> QFont:
    out = QFont(font)
    out.setPointSizeF(font.pointSizeF() * factor)
    return out


def _as_tip(text: str) -> str:
    """What came over the wire is no markup."""
    return f"<qt>{html.escape(text).replace(chr(10), '<br>')}</qt>" if text else ""
