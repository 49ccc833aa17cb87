"""The settings of all programs that subscribe: the address and the keys."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stream.client.connection import Keys
from stream.publish.addresses import check_form
from stream.wire import ADDRESS


@dataclass(frozen=True)
class SubscriberConfig:
    """Where to subscribe, and with which keys."""

    address: str = ADDRESS
    """Where a recognizer publishes."""
    client_key: Path | None = None
    """For a recognizer with keys: the file with our own pair."""
    server_key: Path | None = None
    """For a recognizer with keys: the file with its public key (see `normtr keys`)."""

    def __post_init__(self) -> None:
        check_form(self.address, "--address")
        if (self.client_key is None) != (self.server_key is None):
            raise ValueError("--client-key and --server-key belong together")

    @property
    def keys(self) -> Keys | None:
        if self.client_key is None or self.server_key is None:
            return None
        return Keys(client=self.client_key, server=self.server_key)
