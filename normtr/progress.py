"""Tells about a program's progress on standard error: standard output is for its results."""

from __future__ import annotations

import sys


def say(sentence: str) -> None:
    """Print a sentence at once, even when the output goes to a log file."""
    print(sentence, file=sys.stderr, flush=True)
