"""The entries of the overlay's two menus, with their keys."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu

from stream.overlay.state import Shown
from stream.pipeline.stages import CaptureDevice


class Actions(QObject):
    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.pause = self._action("Pause", "Space", checkable=True)
        self.mute_microphone = self._action("Mute microphone", "M", checkable=True)
        self.mute_camera = self._action("Mute camera", "C", checkable=True)
        self.hide = self._action("Hide", "H", checkable=True)
        self.hide.setToolTip("the badge stays while camera or microphone are in use")
        self.click_through = self._action("Click-through", "T", checkable=True)
        self.click_through.setToolTip("hold Ctrl over the window to end it")
        self.dark = self._action("Dark", "D", checkable=True)
        self.still = self._action("Less motion", "S", checkable=True)
        self.about = self._action("What this shows", "F1")
        self.quit = self._action("Close the overlay", "Ctrl+Q")
        self._groups = (
            (self.pause, self.mute_microphone, self.mute_camera),
            (self.hide, self.click_through, self.dark, self.still),
            (self.about, self.quit),
        )

    def all(self) -> list[QAction]:
        return [action for group in self._groups for action in group]

    def fill(self, menu: QMenu) -> None:
        menu.setToolTipsVisible(True)
        for group in self._groups:
            menu.addActions(list(group))
            menu.addSeparator()

    def take(self, shown: Shown) -> None:
        """Show what the recognizer does, not what was asked of it."""
        self.pause.setChecked(shown.paused)
        self.mute_microphone.setChecked(CaptureDevice.MICROPHONE in shown.muted)
        self.mute_camera.setChecked(CaptureDevice.CAMERA in shown.muted)
        for action in self._groups[0]:
            action.setEnabled(shown.fresh)

    def _action(self, text: str, key: str, checkable: bool = False) -> QAction:
        action = QAction(text, self)
        action.setShortcut(QKeySequence(key))
        action.setCheckable(checkable)
        return action
