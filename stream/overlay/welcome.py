"""Tells before the first use, and on request, what is captured and what the figures mean."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

TEXT = """
<h3>What this window shows</h3>
<p><b>What is captured.</b> While the badge says so, <i>normtr live</i> reads your camera and your
microphone. This window captures nothing; it shows what that program says. Pause or mute at any
time, here or in the tray: what comes then is not used.</p>
<p><b>Nothing leaves this machine.</b> Pictures, sound and words are not stored and not sent
anywhere, unless you start <i>normtr live</i> with options that say so.</p>
<p><b>What the figures mean.</b> The emotion words describe the expression of the last four
seconds, not what a person feels. A percentage is how often such an answer is right on recordings
like those it was taught on. It says <i>not enough to say</i> where it could not see, hear or decide.
Below it the last minute shows what was missing, and why. It is no lie detector and no diagnosis,
and not for workplaces or schools. Tell people whom you point it at.</p>
<p><b>Keys, with the window active:</b> Space pause, M microphone, C camera, H hide, T click-through
(hold Ctrl over the window to end it), D dark or light, arrows move, Shift+arrows resize,
F1 this text, Ctrl+Q close. The right mouse button shows the menu.</p>
"""


class Welcome(QDialog):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("normtr overlay")
        self.setWindowFlag(Qt.WindowType.WindowStaysOnTopHint)
        text = QLabel(TEXT)
        text.setWordWrap(True)
        text.setTextFormat(Qt.TextFormat.RichText)
        text.setMinimumWidth(460)
        text.setAccessibleName("what is captured, and what the figures mean")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok)
        buttons.button(QDialogButtonBox.StandardButton.Ok).setText("Understood")
        buttons.accepted.connect(self.accept)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 12, 20, 16)
        layout.addWidget(text)
        layout.addWidget(buttons)
