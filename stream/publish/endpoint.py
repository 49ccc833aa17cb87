"""A ZeroMQ socket that others connect to, with limits on who may and how much they send."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import zmq

from normtr.errors import UserError
from stream.publish.addresses import check_form
from stream.publish.curve_keys import Guard


def is_local(address: str) -> bool:
    """Return whether only this machine can connect to the address."""
    if not address.startswith("tcp://"):
        return address.startswith(("ipc://", "inproc://"))
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check(address: str, option: str, keys: Path | None) -> None:
    """Raise UserError for an invalid address, or one that others can reach without keys.

    `option` is the command-line option to name in the sentence.
    """
    check_form(address, option)
    if keys is None and not is_local(address):
        raise UserError(
            f"{address} can be reached from other machines, and no CURVE keys are configured; "
            f"give {option} tcp://127.0.0.1:PORT, or make keys with `normtr keys` and give "
            "--curve-keys FOLDER."
        )


class Endpoint:
    """One bound socket in a context of its own. The thread that uses the socket owns it."""

    def __init__(
        self,
        kind: int,
        address: str,
        option: str,
        largest: int,
        keys: Path | None = None,
        settings: Mapping[zmq.SocketOption, int] | None = None,
    ) -> None:
        """Bind the socket.

        `option` is the command-line option to name in errors, and `largest` the bytes that a frame
        sent to us may have. `keys` is a folder of `normtr keys`; only the clients on its list get
        through. Raises UserError when the address is invalid, taken, or open to others without
        keys.
        """
        check(address, option, keys)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._guard: Guard | None = None
        try:
            self._guard = None if keys is None else Guard(self._context, keys)
            self.socket = self._context.socket(kind)
            self.socket.setsockopt(zmq.MAXMSGSIZE, largest)
            self.socket.setsockopt(zmq.IPV6, int("[" in address))
            for setting, value in (settings or {}).items():
                self.socket.setsockopt(setting, value)
            if self._guard is not None:
                self._guard.protect(self.socket)
            with _private_file(address, option):
                self.socket.bind(address)
        except zmq.ZMQError as error:
            self.abandon()
            if error.errno == zmq.EADDRINUSE:
                raise _in_use(address, option) from None
            raise UserError(f"cannot bind to {address}: {error.strerror}.") from None
        except UserError:
            self.abandon()
            raise

    def close(self) -> None:
        """Send what is left for as long as the socket's LINGER says, then close."""
        self.socket.close()
        if self._guard is not None:
            self._guard.close()
        self._context.term()

    def abandon(self) -> None:
        """Close at once."""
        if self._guard is not None:
            self._guard.close()
        self._context.destroy(linger=0)


@contextlib.contextmanager
def _private_file(address: str, option: str) -> Iterator[None]:
    """Let an ipc socket's file be made with mode 600, and only where no file is in its place.

    Raises UserError when the path is taken.
    """
    if not address.startswith("ipc://"):
        yield
        return
    path = Path(address.removeprefix("ipc://"))
    if str(path).startswith(("@", "*")):
        raise UserError(f"{address} has no file whose mode keeps others out; give {option} a path.")
    # ZeroMQ would delete the file.
    if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
        raise UserError(f"{path} is there already and no socket; give another {option}.")
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.settimeout(1.0)
        probe.connect(str(path))
        raise _in_use(address, option)
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


def _in_use(address: str, option: str) -> UserError:
    return UserError(f"{address} is in use; end the other recognizer or give another {option}.")
