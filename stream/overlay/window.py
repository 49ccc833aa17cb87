"""The overlay's window: frameless, translucent and on top. It can be moved, resized and folded."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QContextMenuEvent,
    QCursor,
    QGuiApplication,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QScreen,
)
from PySide6.QtWidgets import QLayout, QMenu, QVBoxLayout, QWidget

from normtr.modality import Modality
from stream.overlay.charts import Bars, HistoryStrip, LightLamp
from stream.overlay.labels import Badge, Headline, Note
from stream.overlay.part import WindowPart
from stream.overlay.state import Shown
from stream.overlay.theme import DARK, Theme

SIZE = QSize(300, 390)
MARGIN = 14
GRIP = 8
"""The mouse resizes the window when it is this near to an edge."""
CORNER = 12.0
SETTLED_MS = 300
"""This long after it is shown, the window manager has put the window in its place."""
KEY_STEP = 16
ARROWS = {
    Qt.Key.Key_Left: QPoint(-KEY_STEP, 0),
    Qt.Key.Key_Right: QPoint(KEY_STEP, 0),
    Qt.Key.Key_Up: QPoint(0, -KEY_STEP),
    Qt.Key.Key_Down: QPoint(0, KEY_STEP),
}
FLAGS = Qt.WindowType.Tool | Qt.WindowType.FramelessWindowHint | Qt.WindowType.WindowStaysOnTopHint
# Openbox hands clicks to a window it manages, whatever that says of its input.
THROUGH = Qt.WindowType.WindowTransparentForInput | Qt.WindowType.X11BypassWindowManagerHint


class OverlayWindow(QWidget):
    closed = Signal()

    def __init__(self) -> None:
        super().__init__(None, FLAGS)
        self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)
        self.setWindowTitle("normtr")
        self.setAccessibleName("normtr overlay")
        self.setMouseTracking(True)
        self.menu = QMenu(self)
        self.bars = Bars()
        self._badge = Badge()
        lights = [LightLamp(modality) for modality in Modality]
        self._folding: tuple[WindowPart, ...] = (
            Headline(),
            self.bars,
            HistoryStrip(),
            *lights,
            Note(),
        )
        self._layout = layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN // 2, MARGIN, MARGIN // 2)
        layout.setSpacing(6)
        layout.setSizeConstraint(QLayout.SizeConstraint.SetMinimumSize)
        for part in (self._badge, *self._folding):
            layout.addWidget(part)
        self._theme = DARK
        self._shown: Shown | None = None
        self._unfolded: QSize | None = None
        self._pressed: QPoint | None = None
        self._wanted: QPoint | None = None
        self.resize(SIZE)

    def take(self, shown: Shown, theme: Theme) -> None:
        if (shown, theme) == (self._shown, self._theme):
            return
        if theme is not self._theme:
            self.update()
        self._shown, self._theme = shown, theme
        for part in (self._badge, *self._folding):
            part.take(shown, theme)
        self.setAccessibleDescription(shown.spoken())
        if self.folded:
            self.setVisible(shown.capture.on)

    @property
    def folded(self) -> bool:
        return self._unfolded is not None

    def fold(self, folded: bool) -> None:
        """Hide all but the badge, and the badge as well while nobody is captured."""
        if folded == self.folded:
            return
        size, self._unfolded = self._unfolded, self.size() if folded else None
        for part in self._folding:
            part.setVisible(not folded)
        self._layout.activate()
        self.resize(QSize(self.width(), 0) if size is None else size)
        self.setVisible(not folded or (self._shown is not None and self._shown.capture.on))

    def set_click_through(self, on: bool) -> None:
        place, visible = QRect(self.pos(), self.size()), self.isVisible()
        # The X server gets a new window: a manager still unmapping the old one would unmap it.
        self.destroy()
        self.setWindowFlags(FLAGS | THROUGH if on else FLAGS)
        self._put(place)
        self.setVisible(visible)

    @property
    def click_through(self) -> bool:
        return bool(self.windowFlags() & Qt.WindowType.WindowTransparentForInput)

    def is_caught(self) -> bool:
        """Return whether Ctrl is held over the window: that ends click-through, which hears no
        keys."""
        held = QGuiApplication.queryKeyboardModifiers() & Qt.KeyboardModifier.ControlModifier
        return bool(held) and self.geometry().contains(QCursor.pos())

    def put(self, screen: QScreen, place: QRect | None) -> None:
        """Put the window whole on this screen; without a place, into its upper right corner."""
        room = screen.availableGeometry()
        if place is None:
            corner = room.topRight() - QPoint(SIZE.width() + 24, -24)
            place = QRect(corner, SIZE)
        size = place.size().expandedTo(self.minimumSizeHint()).boundedTo(room.size())
        left = min(max(place.left(), room.left()), room.right() + 1 - size.width())
        top = min(max(place.top(), room.top()), room.bottom() + 1 - size.height())
        self._put(QRect(QPoint(left, top), size))

    def place(self) -> QRect:
        """Return the place to remember, as if the window were unfolded."""
        return QRect(self._wanted or self.pos(), self._unfolded or self.size())

    def _put(self, place: QRect) -> None:
        self.setGeometry(place)
        self._wanted = place.topLeft()
        QTimer.singleShot(SETTLED_MS, self._settle)

    def _settle(self) -> None:
        """Move the window to its place if it is elsewhere.

        Qt may have taken the place of the manager's frame, before that was moved, for the window's.
        If the user has moved it meanwhile, it stays.
        """
        wanted, self._wanted = self._wanted, None
        if wanted is not None and wanted != self.pos():
            self.move(wanted)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(self._theme.panel)
        painter.setPen(QPen(self._theme.edge, 1))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), CORNER, CORNER)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.position().toPoint()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at, pressed = event.position().toPoint(), self._pressed
        if not event.buttons() & Qt.MouseButton.LeftButton:
            self.setCursor(_cursor(self._edges(at)))
        elif (
            pressed is not None
            and (at - pressed).manhattanLength() >= QGuiApplication.styleHints().startDragDistance()
        ):
            # It does not begin at the press: a manager told after the release would drag on.
            self._pressed = self._wanted = None
            if edges := self._edges(pressed):
                self.windowHandle().startSystemResize(edges)
            else:
                self.windowHandle().startSystemMove()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = ARROWS.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.resize(self.width() + step.x(), self.height() + step.y())
        else:
            self._wanted = None
            self.move(self.pos() + step)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.menu.popup(event.globalPos())

    def closeEvent(self, event: QCloseEvent) -> None:
        self.closed.emit()
        super().closeEvent(event)

    def _edges(self, at: QPoint) -> Qt.Edge:
        edges = Qt.Edge(0)
        for near, edge in (
            (at.x() < GRIP, Qt.Edge.LeftEdge),
            (at.x() >= self.width() - GRIP, Qt.Edge.RightEdge),
            (at.y() < GRIP, Qt.Edge.TopEdge),
            (at.y() >= self.height() - GRIP, Qt.Edge.BottomEdge),
        ):
            edges |= edge if near else Qt.Edge(0)
        return edges


def _cursor(edges: Qt.Edge) -> Qt.CursorShape:
    across = bool(edges & (Qt.Edge.LeftEdge | Qt.Edge.RightEdge))
    along = bool(edges & (Qt.Edge.TopEdge | Qt.Edge.BottomEdge))
    if across and along:
        falling = edges in (
            Qt.Edge.LeftEdge | Qt.Edge.TopEdge,
            Qt.Edge.RightEdge | Qt.Edge.BottomEdge,
        )
        return Qt.CursorShape.SizeFDiagCursor if falling else Qt.CursorShape.SizeBDiagCursor
    if across:
        return Qt.CursorShape.SizeHorCursor
    return Qt.CursorShape.SizeVerCursor if along else Qt.CursorShape.ArrowCursor
