"""What a service manager that started this program wants to know (systemd's sd_notify)."""

from __future__ import annotations

import contextlib
import os
import socket


def wanted() -> bool:
    """Whether a service manager started this program."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def tell(state: str) -> None:
    """Send `READY=1`, `WATCHDOG=1`, ... if wanted. Never waits and never fails."""
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
