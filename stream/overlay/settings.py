"""What the overlay remembers of its user: place on each screen, colours, motion, first run."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSettings


class Settings:
    def __init__(self) -> None:
        self._store = QSettings("normtr", "overlay")

    def place(self, screen: str) -> QRect | None:
        found = self._store.value(f"place/{screen}")
        return found if isinstance(found, QRect) and found.isValid() else None

    def keep_place(self, screen: str, place: QRect) -> None:
        self._store.setValue(f"place/{screen}", place)
        self._store.setValue("screen", screen)

    @property
    def screen(self) -> str:
        """The name of the screen that it was on last."""
        return str(self._store.value("screen", ""))

    @property
    def colours(self) -> str:
        """`desktop`, `dark` or `light`."""
        return str(self._store.value("colours", "desktop"))

    @colours.setter
    def colours(self, value: str) -> None:
        self._store.setValue("colours", value)

    @property
    def still(self) -> bool:
        """Whether motion is unwanted."""
        return str(self._store.value("still", "false")) == "true"

    @still.setter
    def still(self, value: bool) -> None:
        self._store.setValue("still", "true" if value else "false")

    @property
    def welcomed(self) -> bool:
        return str(self._store.value("welcomed", "false")) == "true"

    @welcomed.setter
    def welcomed(self, value: bool) -> None:
        self._store.setValue("welcomed", "true" if value else "false")
