"""Tells the service manager that started this program how it is (systemd's sd_notify)."""

from __future__ import annotations

import contextlib
import os
import socket


def wanted() -> bool:
    """Return whether a service manager started this program."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def tell(state: str) -> None:
    """Send a state such as `READY=1` if it is wanted. Never waits and never fails."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # no file, but a name of the kernel's
        address = "\0" + address[1:]
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as messenger,
    ):
        messenger.setblocking(False)
        messenger.sendto(state.encode(), address)
