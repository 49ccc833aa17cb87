"""Checks ZeroMQ addresses that people give."""

from __future__ import annotations

import re

from normtr.errors import UsageError

_TCP = re.compile(r"tcp://(\[[^\]\s]+\]|[^\s/:]+):([1-9][0-9]{0,4})")
_OTHER = re.compile(r"(ipc|inproc)://.+")
LAST_PORT = 65535


def check_form(address: str, option: str) -> None:
    """Raise UsageError for an invalid address; ZeroMQ would take port 99999 for another one.

    `option` is the command-line option to name in the sentence.
    """
    tcp = _TCP.fullmatch(address)
    if not _OTHER.fullmatch(address) and (tcp is None or int(tcp[2]) > LAST_PORT):
        raise UsageError(
            f"{address!r} is no address; give {option} tcp://HOST:PORT with a port from 1 to "
            f"{LAST_PORT}, e.g. {option} tcp://127.0.0.1:5577."
        )
