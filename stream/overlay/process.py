"""Runs the overlay beside `normtr live`, as a process of its own."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def overlay_beside(address: str, control: str) -> Iterator[None]:
    """Show the overlay during the block, for the recognizer at `address`.

    It sends requests to `control`, which may be `off`. It ends with the block, however this process
    ends. If its user closes it, nothing else happens.
    """
    command = [sys.executable, "-P", "-m", "normtr", "overlay", "--while-read"]
    command += ["--address", address, *([] if control == "off" else ["--control", control])]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    try:
        yield
    finally:
        process.stdin.close()
