"""The overlay's process: it connects window, tray, wire and control port."""

from __future__ import annotations

import os
import sys
import threading
import time

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from stream.interrupts import Interrupts
from stream.overlay.actions import Actions
from stream.overlay.feed import Asker, Feed
from stream.overlay.options import Overlay
from stream.overlay.settings import Settings
from stream.overlay.state import OverlayState
from stream.overlay.theme import DARK, LIGHT, Theme
from stream.overlay.tray import Tray, icon
from stream.overlay.welcome import Welcome
from stream.overlay.window import OverlayWindow
from stream.pipeline.stages import CaptureDevice

TICK_MS = 250


def show(config: Overlay, control: str) -> int:
    """Show the overlay until it is closed; return the exit status.

    Raises UserError when an address or a key is not valid.
    """
    application = QApplication([sys.argv[0]])
    application.setApplicationName("normtr-overlay")
    application.setWindowIcon(icon(True))
    application.setQuitOnLastWindowClosed(False)
    interrupts = Interrupts()
    feed, asker = Feed(config.address, config.keys), Asker(control, config.keys)
    overlay = _Overlay(config, feed, asker, interrupts)
    interrupts.running = True
    application.exec()
    overlay.close()
    return interrupts.status


class _Overlay(QObject):
    ended = Signal()
    """Standard input has ended (see `while_read`)."""

    def __init__(self, config: Overlay, feed: Feed, asker: Asker, interrupts: Interrupts) -> None:
        super().__init__()
        self._feed, self._asker, self._interrupts = feed, asker, interrupts
        self._settings = Settings()
        if config.colours != "kept":
            self._settings.colours = config.colours
        self._state = OverlayState(config.address)
        self._window = OverlayWindow()
        self._actions = Actions(self)
        self._actions.fill(self._window.menu)
        self._window.addActions(self._actions.all())
        self._tray = Tray(self._window.menu, self)
        self._welcome = Welcome()
        self._connect()
        self._place()
        self._actions.still.setChecked(self._settings.still)
        self._draw()
        self._feed.start()
        self._window.show()
        if config.click_through:
            self._actions.click_through.trigger()
        if not self._settings.welcomed:
            self._welcome.show()
        if config.while_read:
            threading.Thread(target=self._read, name="stdin", daemon=True).start()
        self._timer = QTimer(self, interval=TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def close(self) -> None:
        self._keep_place()
        self._asker.close()
        self._feed.close()

    def _connect(self) -> None:
        do, quit_ = self._actions, QApplication.quit
        self._feed.arrived.connect(self._take)
        self._asker.refused.connect(self._refused)
        do.pause.triggered.connect(lambda on: self._ask("pause" if on else "resume"))
        for action, device in (
            (do.mute_microphone, CaptureDevice.MICROPHONE),
            (do.mute_camera, CaptureDevice.CAMERA),
        ):
            action.triggered.connect(
                lambda on, device=device: self._ask("mute" if on else "unmute", device=device)
            )
        do.hide.triggered.connect(self._window.fold)
        self._tray.clicked.connect(do.hide.trigger)
        do.click_through.triggered.connect(self._window.set_click_through)
        do.dark.triggered.connect(self._choose_colours)
        do.still.toggled.connect(self._set_still)
        do.still.triggered.connect(self._keep_still)
        do.about.triggered.connect(self._welcome.show)
        do.quit.triggered.connect(quit_)
        self._welcome.accepted.connect(self._welcomed)
        self._window.closed.connect(quit_)
        self.ended.connect(quit_)
        QGuiApplication.styleHints().colorSchemeChanged.connect(self._draw)

    def _place(self) -> None:
        screens = {screen.name(): screen for screen in QGuiApplication.screens()}
        screen = screens.get(self._settings.screen, QGuiApplication.primaryScreen())
        self._window.put(screen, self._settings.place(screen.name()))

    def _keep_place(self) -> None:
        screen, place = self._window.screen().name(), self._window.place()
        if (screen, place) != (self._settings.screen, self._settings.place(screen)):
            self._settings.keep_place(screen, place)

    def _take(self) -> None:
        for message in self._feed.take():
            self._state.add(message, time.monotonic())
        self._draw()

    def _tick(self) -> None:
        if self._interrupts.asked is not None:
            QApplication.quit()
            return
        if self._window.click_through:
            if self._window.is_caught():
                self._actions.click_through.trigger()
            else:
                self._window.raise_()  # no window manager keeps it on top
        self._keep_place()
        self._draw()

    def _draw(self) -> None:
        shown = self._state.shown(time.monotonic())
        theme = self._theme()
        self._actions.dark.setChecked(theme is DARK)
        self._window.take(shown, theme)
        self._actions.take(shown)
        self._tray.take(shown)

    def _theme(self) -> Theme:
        colours = self._settings.colours
        if colours == "desktop":
            scheme = QGuiApplication.styleHints().colorScheme()
            return LIGHT if scheme == Qt.ColorScheme.Light else DARK
        return LIGHT if colours == "light" else DARK

    def _choose_colours(self, dark: bool) -> None:
        self._settings.colours = "dark" if dark else "light"
        self._draw()

    def _set_still(self, still: bool) -> None:
        self._window.bars.still = still

    def _keep_still(self, still: bool) -> None:
        self._settings.still = still

    def _welcomed(self) -> None:
        self._settings.welcomed = True

    def _ask(self, verb: str, **arguments: str) -> None:
        self._asker.ask(verb, **arguments)
        self._draw()  # the entry shows the old state until the recognizer has done what was asked

    def _refused(self, sentence: str) -> None:
        self._state.tell(sentence, time.monotonic())
        self._draw()

    def _read(self) -> None:
        """Read until whoever started the overlay closes its standard input, or ends."""
        while os.read(sys.stdin.fileno(), 1024):
            pass
        self.ended.emit()
