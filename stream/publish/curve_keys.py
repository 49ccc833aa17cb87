"""CURVE keys: the server's pair, the list of clients that it serves, and the check of clients.

Files are ZeroMQ certificates, as `zmq.auth.load_certificate` reads them: `server.key_secret` (both
keys, mode 600), `server.key` (the public key, for clients) and `clients/NAME.key`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils import z85

from normtr import data_folder, private_file
from normtr.errors import UserError

SERVER = "server"
DOMAIN = b"normtr"
NAME = re.compile(r"[\w-]{1,64}", re.ASCII)
LENGTH = 40
"""The number of characters of a key in Z85."""


def usual_folder() -> Path:
    return data_folder.usual() / "keys"


def make_server(folder: Path) -> bool:
    """Make the server's pair if there is none; return whether it was made."""
    if (folder / f"{SERVER}.key_secret").exists():
        return False
    public, secret = zmq.curve_keypair()
    _write(folder / f"{SERVER}.key", public)
    _write(folder / f"{SERVER}.key_secret", public, secret)
    return True


def server_key(folder: Path) -> str:
    """Return the public key that clients need. Raises UserError when there is none."""
    return _read(folder / f"{SERVER}.key_secret")[0].decode()


def clients(folder: Path) -> dict[str, str]:
    """Return the public key of each client by name; a damaged file counts as no client."""
    found = {}
    for path in sorted((folder / "clients").glob("*.key")):
        try:
            found[path.stem] = _read(path)[0].decode()
        except UserError:
            continue
    return found


def allow(folder: Path, name: str, key: str) -> None:
    """Serve the client that has this public key. Raises UserError for a bad name or key."""
    path = _free(_client(folder, name))
    if not _is_key(key.encode()):
        raise UserError(f"{key!r} is no public key: that has {LENGTH} characters of Z85.")
    if key in clients(folder).values():
        raise UserError("this key is on the list already.")
    _write(path, key.encode())


def allow_new(folder: Path, name: str, secret: Path) -> None:
    """Make a client's pair, write it to the file `secret` (mode 600), and serve the client.

    Raises UserError when the name or the file is taken.
    """
    path = _free(_client(folder, name))
    pair = zmq.curve_keypair()
    _write(_free(secret), *pair)
    _write(path, pair[0])


def revoke(folder: Path, name: str) -> None:
    """Serve a client no more; its open connections stay until the recognizer ends.

    Raises UserError when there is no such client.
    """
    path = _client(folder, name)
    if not path.exists():
        known = ", ".join(clients(folder)) or "none"
        raise UserError(f"there is no client {name!r}; there are: {known}.")
    path.unlink()


class Guard:
    """Lets a socket talk to known clients only; it reads the list anew for each connection."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], folder: Path) -> None:
        """Load the server's keys.

        Raises UserError when they are missing, damaged or open to others.
        """
        self._folder = folder
        path = folder / f"{SERVER}.key_secret"
        self._public, self._secret = _read(path)
        if self._secret is None:
            raise UserError(f"{path} holds no secret key; delete it and run `normtr keys`.")
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise UserError(f"{path} can be read by others; run: chmod 600 {path}")
        self._authenticator = ThreadAuthenticator(context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(DOMAIN.decode(), self)

    def protect(self, socket: zmq.Socket[bytes]) -> None:
        """Encrypt the socket; call it before the socket is bound."""
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self._public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self._secret or b"")
        # Nobody is let in unless the authenticator answers for this domain.
        socket.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def callback(self, domain: str, key: bytes) -> bool:
        """Return whether this public key is on the list; the authenticator calls it."""
        return domain == DOMAIN.decode() and key.decode() in clients(self._folder).values()

    def close(self) -> None:
        self._authenticator.stop()


def _client(folder: Path, name: str) -> Path:
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r} is no name for a client: letters, digits, - and _ make one.")
    return folder / "clients" / f"{name}.key"


def _free(path: Path) -> Path:
    if path.exists():
        raise UserError(f"{path} is there already.")
    return path


def _write(path: Path, public: bytes, secret: bytes | None = None) -> None:
    """Write a certificate whole or not at all, with mode 600. Raises UserError if it cannot."""
    lines = ["metadata", "curve", f'    public-key = "{public.decode()}"']
    if secret is not None:
        lines.append(f'    secret-key = "{secret.decode()}"')
    try:
        private_file.write(path, "\n".join([*lines, ""]))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None


def _read(path: Path) -> tuple[bytes, bytes | None]:
    """Return the public and the secret key of a certificate; the latter may be None.

    Raises UserError with one sentence when the file holds no keys.
    """
    try:
        public, secret = zmq.auth.load_certificate(path)
    except (OSError, ValueError):
        raise UserError(f"there are no keys in {path}; run `normtr keys`.") from None
    if not _is_key(public) or not (secret is None or _is_key(secret)):
        raise UserError(f"{path} is damaged: it holds no CURVE key.")
    return public, secret


def _is_key(text: bytes) -> bool:
    try:
        return len(text) == LENGTH and len(z85.decode(text)) == 32
    except (ValueError, KeyError, TypeError, OverflowError, UnicodeError):
        return False
