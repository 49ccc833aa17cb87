"""A microphone as a source: a process of its own hears it; here it is timed and mixed to mono."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from normtr.cause import Cause
from normtr.errors import UserError
from stream.capture.sound_clock import SoundBlock, Timeline
from stream.capture.sound_input import LIST_LIMIT_S, RETRY_S, Input, choose
from stream.clock import Clock
from stream.pipeline.stages import CaptureDevice

if TYPE_CHECKING:  # it brings torch along, which asking for devices does not need
    from stream.pipeline.ingest import Receiver

OPEN_LIMIT_NS = 5_000_000_000
"""A process that has told nothing yet is given up after this long."""
SILENT_LIMIT_NS = 1_500_000_000
"""A process that has told something is given up after this long without more."""
POLL_S = 0.2
HARMLESS: dict[str, Any] = {"start_new_session": True} if sys.platform != "win32" else {}
"""Keeps Ctrl-C in the terminal from ending the listening process: it is for the program alone."""


def inputs() -> tuple[list[Input], int]:
    """Return every sound input, and PortAudio's number of the default one (-1: none).

    Raises UserError without PortAudio, or when the sound system does not answer.
    """
    command = [sys.executable, "-P", "-m", "stream.capture.sound_input", "list"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, **HARMLESS)
    if not done.stdout:
        raise UserError(f"the sound system did not answer within {LIST_LIMIT_S} s.")
    record = json.loads(done.stdout)
    if "lost" in record:
        raise UserError(record["lost"])
    return [Input(**listed) for listed in record["inputs"]], record["default"]


def unusable(which: str | None = None) -> str | None:
    """Return one sentence that says why the microphone cannot be used; None if it can.

    It answers within three seconds even when the sound system hangs.
    """
    try:
        known, default = inputs()
        choose(which, known, default)
        return None
    except UserError as error:
        return str(error)


class Microphone:
    """Reads from a process, which is ended and started anew when nothing comes from it any more."""

    devices: tuple[CaptureDevice, ...] = (CaptureDevice.MICROPHONE,)

    def __init__(self, which: str | None, latency_ms: float = 0.0) -> None:
        """`which` is an index or a part of the name; None: the system's default input.

        `latency_ms` says how much earlier the sound was made than the device says.
        """
        self._arguments = [] if which is None else [which]
        self._latency_ns = round(latency_ms * 1e6)
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._ends_ns = 0

    def start(self, ingest: Receiver, clock: Clock) -> None:
        ingest.condition(CaptureDevice.MICROPHONE, Cause.STARTING, clock.now_ns())
        for work in (self._listen, self._watch):
            threading.Thread(
                target=work, args=(ingest, clock), name="microphone", daemon=True
            ).start()

    def stop(self) -> None:
        self._stop.set()
        self._end()

    def _end(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def _watch(self, _ingest: Receiver, clock: Clock) -> None:
        while not self._stop.wait(POLL_S):
            if clock.now_ns() > self._ends_ns:
                self._end()

    def _listen(self, ingest: Receiver, clock: Clock) -> None:
        failures = 0
        while not self._stop.is_set():
            failures = 0 if self._hear(ingest, clock) else failures + 1
            self._stop.wait(RETRY_S[min(failures, len(RETRY_S) - 1)])

    def _hear(self, ingest: Receiver, clock: Clock) -> int:
        """Hand in what one process hears, until it ends; return the number of blocks."""
        self._ends_ns = clock.now_ns() + OPEN_LIMIT_NS
        with self._lock:
            if self._stop.is_set():
                return 0
            process = self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "stream.capture.sound_input",
                    "listen",
                    *self._arguments,
                ],
                stdin=subprocess.PIPE,  # closing it tells the process to end
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                **HARMLESS,
            )
        with process:
            assert process.stdout is not None
            count = self._hand_in(process.stdout, ingest, clock)
            process.kill()
        return count

    def _hand_in(self, records: IO[bytes], ingest: Receiver, clock: Clock) -> int:
        count = 0
        opened: _Opened | None = None
        while (got := _record(records)) is not None and not self._stop.is_set():
            record, data = got
            now_ns = clock.now_ns()
            if "lost" in record:
                ingest.condition(CaptureDevice.MICROPHONE, Cause.NO_DEVICE, now_ns, record["lost"])
                opened = None
            elif opened is None:
                opened = _Opened(**record)
            else:
                block = opened.block(record, data)
                for begin_ns, placed in opened.timeline.push(block):
                    mono = placed.samples.mean(axis=1, dtype=np.float32)
                    cause = Cause.DROPPED if placed.overflowed else Cause.STALLED
                    ingest.heard(begin_ns - self._latency_ns, mono, opened.rate, cause)
                count += 1
            self._ends_ns = now_ns + (SILENT_LIMIT_NS if data else OPEN_LIMIT_NS)
        if opened and not self._stop.is_set() and clock.now_ns() <= self._ends_ns:
            lost = f"microphone {opened.name} gives no more sound."
            ingest.condition(CaptureDevice.MICROPHONE, Cause.NO_DEVICE, clock.now_ns(), lost)
        return count


class _Opened:
    """An input that the process has opened."""

    def __init__(self, opened: str, rate: int, channels: int) -> None:
        self.name = opened
        self.rate = rate
        self.timeline = Timeline(rate)
        self._channels = channels

    def block(self, record: dict[str, Any], data: bytes) -> SoundBlock:
        return SoundBlock(
            samples=np.frombuffer(data, np.float32).reshape(-1, self._channels), **record
        )


def _record(records: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Return the next record and its data; None if the process has ended, even within a record."""
    line = records.readline()
    if not line.endswith(b"\n"):
        return None
    record = json.loads(line)
    size = record.pop("bytes")
    data = records.read(size)
    return (record, data) if len(data) == size else None
