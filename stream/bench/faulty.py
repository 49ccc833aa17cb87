"""A source and workers that fail as planned, and processes that keep the machine busy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from stream.bench.faults import Fault, FaultPlan, Faulty
from stream.clock import Clock
from stream.pipeline.events import Event
from stream.pipeline.ingest import ClipReceiver, Source
from stream.pipeline.stages import CaptureDevice, Stage
from stream.pipeline.workers import Worker

CORES = 2
"""This many processes flood the machine."""
_ORPHAN = "import os, sys, threading\n" + (
    "threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()\n"
)
BUSY = _ORPHAN + "while True: pass"
DEAF = _ORPHAN + (
    "import time, zmq\n"
    "socket = zmq.Context().socket(zmq.SUB)\n"
    "socket.setsockopt(zmq.RCVHWM, 1)\n"
    "socket.subscribe('')\n"
    "socket.connect(sys.argv[1])\n"
    "time.sleep(1e6)"
)
"""`BUSY` and `DEAF` end with the process that started them."""


class Faults:
    """Carries out a plan. Times count from the session's origin, which the source is told."""

    def __init__(self, plan: FaultPlan, address: str) -> None:
        """`address` is where subscribers connect."""
        self.plan = plan
        self.origin_ns: int | None = None
        self._address = address
        self._foreign: dict[Fault, list[subprocess.Popen[bytes]]] = {}

    def source(self, source: Source) -> Source:
        """Return the source with the planned faults."""
        return _FaultySource(source, self)

    def worker(self, worker: Worker) -> Worker:
        """Return the worker; it raises errors while the plan kills it."""
        return _FaultyWorker(worker, self)

    def kills(self, worker: Stage, now_ns: int) -> bool:
        return any(f.kind == "kill" and f.what == worker for f in self._on(now_ns))

    def foreign(self, now_ns: int) -> None:
        """Start and end other processes; call it often."""
        wanted = {f for f in self._on(now_ns) if f.kind in ("flood", "deaf")}
        for fault in wanted - self._foreign.keys():
            code, count = (BUSY, CORES) if fault.kind == "flood" else (DEAF, 1)
            command = [sys.executable, "-P", "-c", code, self._address]
            self._foreign[fault] = [
                subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(count)
            ]
        for fault in self._foreign.keys() - wanted:
            _end(self._foreign.pop(fault))

    def close(self) -> None:
        for processes in self._foreign.values():
            _end(processes)
        self._foreign.clear()

    def _on(self, now_ns: int) -> list[Fault]:
        if self.origin_ns is None:
            return []
        at_s = (now_ns - self.origin_ns) / 1e9
        return [fault for fault in self.plan.faults if fault.on(at_s)]


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
        process.wait()


class _FaultySource:
    devices = tuple(CaptureDevice)

    def __init__(self, source: Source, faults: Faults) -> None:
        self._source = source
        self._faults = faults

    def start(self, ingest: ClipReceiver, clock: Clock) -> None:
        self._faults.origin_ns = ingest.origin_ns
        self._source.start(Faulty(ingest, self._faults.plan), clock)

    def stop(self) -> None:
        self._source.stop()


class _FaultyWorker:
    def __init__(self, worker: Worker, faults: Faults) -> None:
        self.name = worker.name
        self._worker = worker
        self._faults = faults
        self._now_ns = 0

    def take(self, now_ns: int, final: bool = False) -> Any | None:
        self._now_ns = now_ns
        return self._worker.take(now_ns, final)

    def run(self, work: Any) -> Sequence[Event]:
        if self._faults.kills(self.name, self._now_ns):
            raise RuntimeError("the plan kills this worker")
        return self._worker.run(work)
