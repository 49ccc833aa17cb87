"""The program as a user starts it, in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def start(*arguments: object, verb: str = "live") -> subprocess.Popen[str]:
    command = [sys.executable, "-X", "faulthandler", "-m", "normtr", verb, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def refused(*arguments: object, verb: str = "live", within_s: float = 60) -> tuple[int, str]:
    """Exit status and the one sentence; fails on a traceback, a hang or status 0."""
    command = [sys.executable, "-m", "normtr", verb, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    sentences = [line for line in done.stderr.splitlines() if line.startswith(f"normtr {verb}:")]
    assert len(sentences) == 1, done.stderr
    return done.returncode, sentences[0]
