"""A real desktop on a virtual screen: X server, window manager, compositor, mouse and keyboard."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stream.overlay import qt_libraries
from tests.support import components

PROGRAMS = ("Xvfb", "openbox", "xcompmgr", "trayer", "xdotool")
SIZE = (1000, 700)
FLOOR = (64, 96, 128)
"""Colour of the desktop's background."""


def needed() -> None:
    """Go on only where all is there."""
    components.require(*PROGRAMS)
    lacking = qt_libraries.missing() + ([] if find_spec("PySide6") else ["PySide6-Essentials"])
    if lacking:
        components.missing(f"{', '.join(lacking)} are not there; run .ci/system_libraries.sh test")


@dataclass
class Desktop:
    display: str
    framebuffer: Path
    home: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        out = {**os.environ, "DISPLAY": self.display, "XDG_CONFIG_HOME": str(self.home), **more}
        for name in ("WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
            out.pop(name, None)
        return out

    def start(self, *command: object, **more: Any) -> subprocess.Popen[str]:
        environment = self.environment(**more.pop("environment", {}))
        process = subprocess.Popen(
            list(map(str, command)), env=environment, stderr=subprocess.PIPE, text=True, **more
        )
        self.running.append(process)
        return process

    def overlay(self, *options: object, **more: Any) -> subprocess.Popen[str]:
        return self.start(sys.executable, "-m", "normtr", "overlay", *options, **more)

    def xdotool(self, *words: object) -> str:
        """What it says. Raises CalledProcessError, for example where no window is found."""
        return subprocess.run(
            ["xdotool", *map(str, words)],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        ).stdout

    def window(self, name: str = "^normtr$") -> str:
        """Its number, once it is on the screen and knows where."""

        def find() -> str:
            with contextlib.suppress(subprocess.CalledProcessError):
                return self.xdotool("search", "--onlyvisible", "--name", name).split()[-1]
            return ""

        window: str = until(find, f"no window {name}")
        time.sleep(0.5)
        return window

    def visible(self, name: str = "^normtr$") -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            return bool(self.xdotool("search", "--onlyvisible", "--name", name).split())
        return False

    def place(self, window: str) -> tuple[int, int, int, int]:
        """Left, top, width and height."""
        words = self.xdotool("getwindowgeometry", "--shell", window).split()
        told = dict(word.split("=") for word in words)
        return tuple(int(told[key]) for key in ("X", "Y", "WIDTH", "HEIGHT"))  # type: ignore[return-value]

    def picture(self) -> NDArray[np.uint8]:
        """What is on the screen now: RGB [H, W, 3]."""
        data = self.framebuffer.read_bytes()
        header = np.frombuffer(data, ">u4", 25)
        height, row, colours = int(header[5]), int(header[12]), int(header[19])
        pixels = np.frombuffer(data, np.uint8, height * row, int(header[0]) + 12 * colours)
        return pixels.reshape(height, row // 4, 4)[:, : int(header[4]), 2::-1].copy()

    def shot(self, window: str) -> NDArray[np.uint8]:
        left, top, width, height = self.place(window)
        return self.picture()[top : top + height, left : left + width]

    def end(self, process: subprocess.Popen[str]) -> str:
        """What it said on standard error."""
        process.terminate()
        said: str = process.communicate(timeout=20)[1]
        return said


def until(ask: Callable[[], Any], otherwise: str, seconds: float = 20.0) -> Any:
    """The first answer that is true."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        if found := ask():
            return found
        time.sleep(0.05)
    pytest.fail(f"{otherwise} within {seconds:g} s")


@contextlib.contextmanager
def desktop(folder: Path, size: tuple[int, int] = SIZE) -> Iterator[Desktop]:
    readable, writable = os.pipe()
    server = subprocess.Popen(
        [
            *("Xvfb", "-displayfd", str(writable), "-nolisten", "tcp", "-fbdir", str(folder)),
            *("-screen", "0", f"{size[0]}x{size[1]}x24"),
        ],
        pass_fds=[writable],
        stderr=subprocess.DEVNULL,
    )
    os.close(writable)
    with os.fdopen(readable) as told:
        display = f":{told.readline().strip()}"
    home = folder / "home"
    home.mkdir(exist_ok=True)
    one = Desktop(display, folder / "Xvfb_screen0", home)
    try:
        one.start("openbox", "--sm-disable")
        one.start("xcompmgr")
        one.xdotool("search", "--sync", "--onlyvisible", "--limit", "1", "--name", ".*")
        yield one
    finally:
        for process in reversed(one.running):
            process.kill()
            process.wait()
        server.terminate()
        server.wait()
