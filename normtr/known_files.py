"""Verifies large files by hash, once for each file and machine: hashing takes time at every start."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from normtr import data_folder, private_file

FILE = "hashes.json"
MAX_BYTES = 1_000_000


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_known(path: Path, expected: str) -> bool:
    """Return whether a file has the sha256 that is expected of it.

    A file that had it is not read again while its size and its time of change stay the same.
    """
    about = path.stat()
    name, state = str(path.resolve()), [about.st_size, about.st_mtime_ns, expected]
    verified = _verified()
    if verified.get(name) == state:
        return True
    if sha256(path) != expected:
        return False
    with contextlib.suppress(OSError):  # else it is read again next time
        private_file.write(data_folder.cache() / FILE, json.dumps({**verified, name: state}))
    return True


def _verified() -> dict[str, list[int | str]]:
    """Return what was verified: by path the size, the time of change in ns, and the sha256."""
    try:
        with (data_folder.cache() / FILE).open("rb") as file:
            found = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
