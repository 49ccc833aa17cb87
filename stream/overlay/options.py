"""What `normtr overlay` can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stream.client.subscriber_config import SubscriberConfig
from stream.publish.addresses import LAST_PORT, check_form


@dataclass(frozen=True)
class Overlay(SubscriberConfig):
    """Show what a recognizer publishes in a small window that stays on top."""

    control: str | None = None
    """Where pause and mute are asked for; without it on the port after that of --address."""
    colours: Literal["kept", "desktop", "dark", "light"] = "kept"
    """`desktop` follows it; `kept`: as chosen last time."""
    click_through: bool = False
    """Let the mouse through to what lies below; Ctrl held over the window ends it."""
    web: bool = False
    """Instead of the window serve a page, for OBS and for machines without Qt; its address is printed."""
    port: int = 5579
    """Where the page is served, on this machine only."""
    while_read: bool = False
    """End with standard input, as `normtr live --overlay` has it."""

    def __post_init__(self) -> None:
        """Raises ValueError or UsageError for what cannot be."""
        super().__post_init__()
        if self.control is not None:
            check_form(self.control, "--control")
        if not 0 <= self.port <= LAST_PORT:
            raise ValueError(
                f"--port lies between 0 (a free one) and {LAST_PORT}, not at {self.port}"
            )
