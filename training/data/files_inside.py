"""Finds the files of some kinds in a folder and in those inside it."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path


def files_inside(folder: Path, kinds: Collection[str]) -> list[Path]:
    """Return the sorted files whose suffix, in lower case, is one of `kinds`.

    Links to folders are followed, because people link parts of large sets together.
    """
    return sorted(
        Path(inside, name)
        for inside, _, names in os.walk(folder, followlinks=True)
        for name in names
        if Path(name).suffix.lower() in kinds
    )
