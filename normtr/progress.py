"""What a program says of its work: on standard error, since standard output is for what it found."""

from __future__ import annotations

import sys


def say(sentence: str) -> None:
    """At once, in a log, too."""
    print(sentence, file=sys.stderr, flush=True)
