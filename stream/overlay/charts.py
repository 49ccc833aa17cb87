"""The overlay's charts: probabilities, the last minute, and the gaps of each modality."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, QTimer
from PySide6.QtGui import QColor, QFontMetricsF, QHelpEvent, QPainter, QPen
from PySide6.QtWidgets import QToolTip

from normtr.cause import Cause
from normtr.modality import Modality
from stream.overlay.part import CENTRE, LEFT, RIGHT, WindowPart, as_tip, fitting, resized
from stream.overlay.state import Shown, within
from stream.overlay.theme import Theme, opacity
from stream.views.history import SECONDS
from stream.views.labels_and_colours import ink, look, name, reason

GLIDE_FRAMES, GLIDE_MS = 3, 50
UNHEARD = "No recognizer was heard yet. Start one with: normtr live"


class Bars(WindowPart):
    """Every label's probability as a bar. Bars glide to new values unless motion is unwanted."""

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
        """Yield the label and length of each bar as it is drawn now."""
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


class HistoryStrip(WindowPart):
    """The last minute: the strongest label of each second, and each modality's gaps by cause."""

    def __init__(self) -> None:
        super().__init__("last minute", 0.75, 4.0, grows=True)

    def drawn(self, shown: Shown) -> object:
        return shown.columns

    def describe(self, shown: Shown) -> str:
        missing = {
            modality: sum(
                column.causes.get(modality, Cause.NONE) != Cause.NONE for column in shown.columns
            )
            for modality in Modality
        }
        told = (f"{name(m)} missing for {seconds} s" for m, seconds in missing.items() if seconds)
        return f"{SECONDS} seconds; {', '.join(told) or 'nothing was missing'}"

    def draw(self, painter: QPainter, shown: Shown) -> None:
        box, each = QRectF(self.rect()), self.width() / SECONDS
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)  # five times as fast
        painter.setPen(QPen(self.theme.track, 1))
        for level in (0.0, 0.5, 1.0):
            at = box.bottom() - 0.5 - level * (box.height() - 1)
            painter.drawLine(QPointF(0, at), QPointF(box.width(), at))
        tops = [column.top for column in shown.columns]
        for number, (column, top) in enumerate(zip(shown.columns, tops, strict=True)):
            level = within(column.levels.get(top, 0.0)) * (box.height() - 1)
            faded = 0.3 if column.abstained else 0.9
            bar = QRectF(number * each + 0.5, box.bottom() - level, max(each - 1, 1), level)
            painter.fillRect(bar, self.theme.emotion(top, shown.fresh, faded))
        named = [t if not c.abstained else "" for t, c in zip(tops, shown.columns, strict=True)]
        metrics = QFontMetricsF(painter.font())
        for first, end, top in _runs(named):
            width = (end - first) * each
            if text := fitting((top, top[:3]), width, metrics):
                highest = max(
                    within(column.levels.get(top, 0.0)) for column in shown.columns[first:end]
                )
                above = box.bottom() - highest * (box.height() - 1) - metrics.height()
                room = QRectF(first * each, max(above, 0), width, metrics.height())
                self.write(painter, room, text, self.theme.text, CENTRE)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and self.shown:
            number = min(max(int(event.pos().x() * SECONDS / max(self.width(), 1)), 0), SECONDS - 1)
            QToolTip.showText(event.globalPos(), as_tip(_told(number, self.shown)), self)
            return True
        return super().event(event)


class LightLamp(WindowPart):
    """One modality: whether it is there or why not, and its gaps over the last minute."""

    def __init__(self, modality: str) -> None:
        super().__init__(name(modality), 0.9, 2.05)
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
        colour = self.theme.cause(Cause.NONE, True) if light.lit else self.theme.dim
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
        font = resized(painter.font(), 0.72)
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
            if cause == Cause.NONE:  # a thin line, so that a gap is seen by its shape, too
                run.adjust(0, strip.height() * 0.36, 0, -strip.height() * 0.36)
                painter.fillRect(run, colour)
                continue
            painter.fillRect(run.adjusted(0.5, 0, -0.5, 0), colour)
            painter.setPen(QPen(self.theme.edge, 1))
            painter.drawRect(run.adjusted(0.5, 0.5, -0.5, -0.5))
            names = reason(self.modality, cause), look(cause).text, look(cause).mark
            if text := fitting(names, run.width(), metrics):
                self.write(painter, run, text, QColor(ink(colour.name())), CENTRE)


def _runs(names: list[str]) -> Iterator[tuple[int, int, str]]:
    """Yield first, end and name of each stretch of equal names."""
    first = 0
    for number in range(1, len(names) + 1):
        if number == len(names) or names[number] != names[first]:
            yield first, number, names[first]
            first = number


def _told(number: int, shown: Shown) -> str:
    """Return one second of the history in words."""
    column = shown.columns[number]
    ago = len(shown.columns) - 1 - number
    if not column.causes:
        return f"{ago} s ago: nothing arrived"
    top = column.top
    emotion = f"{top} {column.levels[top]:.0%}" if top else "no estimate"
    gaps = (
        f"{name(modality)}: {reason(modality, cause)}" for modality, cause in column.causes.items()
    )
    return "\n".join((f"{ago} s ago: {emotion}", *gaps))
