"""The cameras of this machine: it lists them, finds the one that is meant, and tells who uses
it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path

from normtr.cause import Cause
from normtr.errors import UserError

_LISTS = {"darwin": "avfoundation", "win32": "dshow"}
"""FFmpeg's name for the system's way to its cameras."""


class NoCamera(UserError):
    """A camera cannot be used; `cause` is the gap cause: `no_device`, `denied` or `stalled`."""

    def __init__(self, cause: Cause, sentence: str) -> None:
        super().__init__(sentence)
        self.cause = cause


def cameras() -> list[tuple[str, str]]:
    """Return (index, name) of every camera that the system lists, in the order of indices."""
    if sys.platform in _LISTS:
        return [(str(n), name) for n, name in enumerate(_listed(_LISTS[sys.platform]))]
    found = []
    for node in Path("/sys/class/video4linux").glob("video*"):
        # A camera's further nodes carry metadata, no pictures.
        with contextlib.suppress(OSError):
            if (node / "index").read_text().strip() == "0":
                found.append((node.name.removeprefix("video"), (node / "name").read_text().strip()))
    return sorted(found, key=lambda camera: int(camera[0]))


def _listed(way: str) -> list[str]:
    import av

    try:
        devices = av.enumerate_input_devices(way)
    except (ValueError, av.FFmpegError):
        return []
    pictures = [d for d in devices if "video" in (d.media_types or ["video"])]
    if sys.platform == "darwin":  # OpenCV numbers them by their identifiers
        pictures.sort(key=lambda device: device.name)
    return [d.description for d in pictures if not d.description.startswith("Capture screen")]


def choose(which: str) -> int | str:
    """Return the index of a camera, or the path or URL that OpenCV opens.

    `which` is an index, a path, a URL, or a part of a camera's name. Raises NoCamera.
    """
    if which.isdigit():
        return _there(which, Path(f"/dev/video{which}")) if sys.platform == "linux" else int(which)
    if "://" in which:
        return which
    if os.path.sep in which or Path(which).exists():
        return _there(which, Path(which))
    known = cameras()
    wanted = which.casefold()
    for index, name in [c for c in known if c[1].casefold() == wanted] + known:
        if wanted in name.casefold():
            return choose(index)
    listed = ", ".join(f"{index} ({name})" for index, name in known)
    what = f"there is no camera {which!r}; "
    raise NoCamera(
        Cause.NO_DEVICE, what + (f"there are: {listed}." if known else "none is listed.")
    )


def _there(which: str, path: Path) -> int | str:
    """Return a readable path, or the index of the device at it. Raises NoCamera."""
    try:
        is_device = path.is_char_device()
        if not path.exists():
            raise NoCamera(Cause.NO_DEVICE, f"there is no camera {which}: {path} does not exist.")
        allowed = os.access(path, os.R_OK | os.W_OK if is_device else os.R_OK)
    except PermissionError:
        is_device = allowed = False
    if not allowed:
        cure = "; `sudo usermod -aG video $USER` and a new login allow it" if is_device else ""
        raise NoCamera(Cause.DENIED, f"camera {which} is forbidden: {path} cannot be read{cure}.")
    number = re.fullmatch(r"/dev/video(\d+)", str(path.resolve()))
    return int(number[1]) if number else str(path)


def not_opened(which: str, chosen: int | str) -> NoCamera:
    """Return the error for a camera that exists and cannot be opened."""
    path = Path(f"/dev/video{chosen}" if isinstance(chosen, int) else chosen)
    if users := _users(path):
        return NoCamera(
            Cause.NO_DEVICE, f"camera {which} is taken by {users}; close it there first."
        )
    return NoCamera(
        Cause.NO_DEVICE, f"camera {which} cannot be opened; does another program use it?"
    )


def _users(path: Path) -> str:
    """Return the other programs that have the file open, as far as the system tells; Linux only."""
    users = {}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            process = int(link.parts[2])
            if process != os.getpid() and process not in users and link.samefile(path):
                users[process] = (link.parents[1] / "comm").read_text().strip()
    return " and ".join(f"{name} (process {process})" for process, name in users.items())
