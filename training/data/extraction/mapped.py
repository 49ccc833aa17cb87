"""Windows in a file instead of memory: what is not looked at costs disk only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from normtr.errors import UserError

Window = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Rows [T, dim], and which of them are valid [T]."""


def mapped(windows: Iterable[Window], steps: int, dim: int, near: Path) -> tuple[Tensor, Tensor]:
    """Windows of one size, at least one -> rows float32 [n, T, dim] and valid bool [n, T].

    A row that is not valid, or holds NaN or inf, is zero and not valid. The rows lie in a file
    without a name in the folder `near` (or where temporary files lie, if that cannot be written),
    which goes with the last tensor that looks at it. Raises UserError when the disk is full.
    """
    there = []
    try:
        with tempfile.TemporaryFile(dir=near if os.access(near, os.W_OK) else None) as file:
            for rows, valid in windows:
                good = valid & np.isfinite(rows).all(1)
                file.write(np.where(good[:, None], rows, 0).astype(np.float32).tobytes())
                there.append(good)
            file.flush()
            # Private: torch wants memory it may write to, and the file is nobody else's.
            flat = np.memmap(file, np.float32, "c", shape=(len(there), steps, dim))
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"the windows cannot be written beside {near}: {reason}.") from None
    return torch.from_numpy(flat), torch.from_numpy(np.array(there))
