"""Keeps windows in a file instead of memory, so that what is not looked at costs only disk."""

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
"""Rows float32 [T, dim], and which of them are valid, bool [T]."""


def mapped(windows: Iterable[Window], steps: int, dim: int, near: Path) -> tuple[Tensor, Tensor]:
    """Return the windows as rows float32 [n, T, dim] and valid bool [n, T].

    There must be at least one window, and all have T = `steps`. A row that is not valid, or holds
    NaN or inf, becomes zero and not valid. The rows are in a file without a name in the folder
    `near` (or in the one for temporary files, if `near` cannot be written), which is deleted with
    the last tensor that maps it. Raises UserError when the disk is full.
    """
    there = []
    try:
        with tempfile.TemporaryFile(dir=near if os.access(near, os.W_OK) else None) as file:
            for rows, valid in windows:
                good = valid & np.isfinite(rows).all(1)
                file.write(np.where(good[:, None], rows, 0).astype(np.float32).tobytes())
                there.append(good)
            file.flush()
            # Mapped as a private copy ("c"), because torch wants memory that it may write to.
            flat = np.memmap(file, np.float32, "c", shape=(len(there), steps, dim))
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"the windows cannot be written beside {near}: {reason}.") from None
    return torch.from_numpy(flat), torch.from_numpy(np.array(there))
