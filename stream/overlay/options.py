"""The settings of `normtr overlay`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stream.client.subscriber_config import SubscriberConfig
from stream.publish.addresses import LAST_PORT, check_form


@dataclass(frozen=True)
class Overlay(SubscriberConfig):
    """Show what a recognizer publishes in a small window that stays on top."""

    control: str | None = None
    """Where to ask for pause and mute; without it, on the port after that of --address."""
    colours: Literal["kept", "desktop", "dark", "light"] = "kept"
    """`desktop` follows the desktop; `kept` is the last choice."""
    click_through: bool = False
    """Let the mouse through to what lies below; hold Ctrl over the window to end it."""
    web: bool = False
    """Serve a page instead of the window, for OBS or without Qt; its address is printed."""
    port: int = 5579
    """The port of the page, on this machine only."""
    while_read: bool = False
    """End with standard input; `normtr live --overlay` uses this."""

    def __post_init__(self) -> None:
        """Raise ValueError or UsageError for values that cannot be."""
        super().__post_init__()
        if self.control is not None:
            check_form(self.control, "--control")
        if not 0 <= self.port <= LAST_PORT:
            raise ValueError(
                f"--port lies between 0 (a free one) and {LAST_PORT}, not at {self.port}"
            )
