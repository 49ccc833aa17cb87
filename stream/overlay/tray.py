"""The overlay's icon in the desktop's tray, with the same menu."""

from __future__ import annotations

from PySide6.QtCore import QObject, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from stream.overlay.state import Shown
from stream.overlay.theme import DARK

SIZE = 64


class Tray(QObject):
    """The icon; a desktop without a tray shows nothing, until it gets one."""

    clicked = Signal()
    """The left button was pressed; the right one opens the menu."""

    def __init__(self, menu: QMenu, parent: QObject) -> None:
        super().__init__(parent)
        self._icon = QSystemTrayIcon(icon(False), self)
        self._icon.setContextMenu(menu)
        self._icon.activated.connect(self._activated)
        self._captures = False
        self._icon.show()

    def take(self, shown: Shown) -> None:
        if shown.capture.on != self._captures:
            self._captures = shown.capture.on
            self._icon.setIcon(icon(self._captures))
        tip = f"normtr: {shown.headline}\n{shown.capture.saying}"
        if tip != self._icon.toolTip():
            self._icon.setToolTip(tip)

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason == QSystemTrayIcon.ActivationReason.Trigger:
            self.clicked.emit()


def icon(captures: bool) -> QIcon:
    """Return a ring, with a dot in it while a person is captured."""
    picture = QPixmap(SIZE, SIZE)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(22, 24, 29))
    painter.setPen(QPen(QColor(243, 244, 246), 5))
    painter.drawEllipse(QRectF(6, 6, SIZE - 12, SIZE - 12))
    if captures:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(DARK.alarm)
        painter.drawEllipse(QRectF(20, 20, SIZE - 40, SIZE - 40))
    painter.end()
    return QIcon(picture)
