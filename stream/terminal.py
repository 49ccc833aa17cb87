"""Terminals and pipes that are closed while the program writes to them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console


@contextlib.contextmanager
def unless_gone(output: TextIO) -> Iterator[None]:
    """Where `output` was closed at its other end, what is printed goes nowhere from now on."""
    try:
        yield
        output.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, output.fileno())
            os.close(nowhere)


class Screen(Console):
    """A console that leaves a closed pipe to `unless_gone`; Rich would end the program."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError
