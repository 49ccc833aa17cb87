"""The overlay's server in its own process, and a publisher that tells every cause of a gap."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from normtr.cause import GAPS, Cause
from normtr.spec import LABELS, MODALITIES
from stream.publish.publisher import Publisher
from stream.wire import AFFECT, INFO, TEXT, Message
from tests.support.messages import INFO_PAYLOAD, SAID

STEP_NS = 250_000_000
RUN = 6
"""Steps of each gap, and between two."""
ALL_CAUSES = 2 * RUN * len(GAPS)
"""After so many steps, 45 s, every cause has come up in every modality; from then on all is there."""
SECRET = "neverontheoverlay"
"""The word that is said at each step."""
PROGRAM = """
import sys
from normtr.errors import UserError
from stream.commands.overlay import run
sys.modules["PySide6"] = None  # as on a machine without Qt
try:
    sys.exit(run(["--web", *sys.argv[1:]]))
except UserError as error:
    sys.exit(str(error))
"""


def cause(modality: str, step: int) -> str:
    place = step // RUN + 3 * MODALITIES.index(modality)
    return Cause.NONE if place % 2 == 0 or step >= ALL_CAUSES else GAPS[place // 2 % len(GAPS)]


def estimate(step: int, session: str, **keys: Any) -> Message:
    """The top label changes every 5 s; it is told with a confidence of 0.7."""
    end, top = (step + 1) * STEP_NS, step // 20 % len(LABELS)
    payload = {
        **SAID[AFFECT].payload,
        **{"session": session, "seq": step, "t_ns": end, "sent_ns": end},
        **{"labels": list(LABELS), "top": LABELS[top], "confidence": 0.7, "abstained": False},
        "probabilities": [0.7 if n == top else 0.05 for n in range(len(LABELS))],
        "window": {
            **{"begin_ns": end - 16 * STEP_NS, "end_ns": end, "step_ns": STEP_NS, "steps": 16}
        },
        "gaps": {m: [cause(m, max(step - 15 + n, 0)) for n in range(16)] for m in MODALITIES},
    }
    return Message(AFFECT, {**payload, **keys})


class Feed(threading.Thread):
    """Publishes a session once someone listens: the first 45 s at once, then a step every 250 ms, each with a word.

    `info` and `estimates` are keys put into these messages; `keys`: the folder of CURVE keys.
    """

    def __init__(
        self,
        address: str,
        session: str,
        info: dict[str, Any] | None = None,
        keys: Path | None = None,
        **estimates: Any,
    ) -> None:
        super().__init__()
        self._address, self._session, self._keys = address, session, keys
        self._info = {**INFO_PAYLOAD, "captures": True, **(info or {}), "session": session}
        self._estimates = estimates
        self._ended = threading.Event()
        self.all_told = threading.Event()
        """Every cause is sent, and steps come as they do live."""

    def run(self) -> None:
        publisher = Publisher(self._address, self._keys)
        step = 0
        while not (publisher.info_wanted() or self._ended.wait(0.02)):
            pass
        while not self._ended.wait(0.005 if step < ALL_CAUSES else 0.25):
            if publisher.info_wanted() or step % 20 == 0:
                publisher.send(Message(INFO, self._info))
            word = {"word": SECRET, "session": self._session, "seq": step}
            publisher.send(Message(TEXT, {**SAID[TEXT].payload, **word}))
            publisher.send(estimate(step, self._session, **self._estimates))
            step += 1
            if step > ALL_CAUSES:
                self.all_told.set()
        publisher.close()

    def __enter__(self) -> Feed:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._ended.set()
        self.join(10)


class PageServer:
    """`normtr overlay --web` in a process of its own; `url` is what it prints."""

    def __init__(self, address: str, home: Path, port: int = 0, *options: object) -> None:
        words = ["--address", address, "--port", str(port), *map(str, options)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *words],
            env={**os.environ, "XDG_DATA_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        parts = urlsplit(self.url)
        self.host, self.port = parts.netloc, parts.port or 0
        self.path = parts.path

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit status and what was said on standard error."""
        self.process.send_signal(number)
        _, error = self.process.communicate(timeout=20)
        return self.process.returncode, error
