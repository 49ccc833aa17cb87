"""The Debian packages that Qt's window needs besides its Python package."""

from __future__ import annotations

import ctypes
import sys

QT_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libfontconfig.so.1": "libfontconfig1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-xinerama.so.0": "libxcb-xinerama0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
"""The package of each shared object."""


def missing() -> list[str]:
    """Return the packages whose shared object cannot be loaded; only Linux needs any."""
    lacking = []
    for name, package in QT_LIBRARIES.items() if sys.platform == "linux" else ():
        try:
            ctypes.CDLL(name)
        except OSError:
            lacking.append(package)
    return lacking
