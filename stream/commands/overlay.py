"""`normtr overlay` shows on the desktop what a recognizer publishes."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys

from normtr.config import parse
from normtr.errors import UserError
from stream.client.control_client import beside
from stream.overlay import qt_libraries
from stream.overlay.options import Overlay


def check() -> None:
    """Raise UserError when no window can be shown here; Qt itself would end the process."""
    if importlib.util.find_spec("PySide6") is None:
        raise UserError(
            "the overlay needs the package PySide6-Essentials; type: pip install 'normtr[overlay]'"
        )
    if lacking := qt_libraries.missing():
        sudo = "" if os.geteuid() == 0 else "sudo "
        raise UserError(
            f"the overlay needs system libraries: {sudo}apt-get install -y {' '.join(lacking)}"
        )
    if sys.platform != "linux" or os.environ.get("QT_QPA_PLATFORM", "xcb") != "xcb":
        return
    if display := os.environ.get("DISPLAY"):
        if not _answers(display):
            raise UserError(f"the display {display} does not answer.")
        # On a Wayland desktop only X11 windows can keep their place and stay on top.
        os.environ["QT_QPA_PLATFORM"] = "xcb"
    elif not os.environ.get("WAYLAND_DISPLAY"):
        raise UserError("there is no desktop: neither DISPLAY nor WAYLAND_DISPLAY is set.")


def run(argv: list[str]) -> int:
    config = parse(Overlay, argv, "overlay")
    if config.web:
        from stream.overlay.web import serve

        return serve(config.address, config.port, config.keys)
    check()
    try:
        from stream.overlay.app import show
    except ImportError as error:
        raise UserError(f"Qt cannot be loaded ({error}); see `normtr doctor`.") from None
    return show(config, config.control or beside(config.address))


def _answers(display: str) -> bool:
    xcb = ctypes.CDLL("libxcb.so.1")
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(display.encode(), None))
    failed = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return not failed
