"""Trains networks that do not depend on each other, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch

from normtr.errors import UserError
from training.parallel_cpu import CORES
from training.processes import spread

T = TypeVar("T")


def apart(work: Callable[[T], bool], pieces: Sequence[T]) -> None:
    """Run trainings that do not depend on each other, each on one thread in its own process.

    With a GPU they run one after the other. `work` must return True, and it and the pieces must be
    picklable. Raises UserError when a process dies.
    """
    jobs = 1 if torch.cuda.is_available() else CORES
    for _, done in spread(pieces, partial(_by_one_thread, work), jobs):
        if not done:
            raise UserError("a process of the training died; start it again to go on.")


def _by_one_thread(work: Callable[[T], bool]) -> Callable[[T], bool]:
    torch.set_num_threads(1)
    return work
