"""One stage on a thread of its own: its worker is replaced when it fails or hangs.

Nobody can end a thread that hangs in a library. It is given up: it may go on, but what it says
is ignored, and a new worker with models loaded anew takes its place on a new thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from normtr.errors import UserError
from normtr.spec import FeatureSpec
from stream.clock import Clock
from stream.pipeline.events import Down, Event, Failed, Restarted, stamped
from stream.pipeline.ingest import FrameSample, Ingest
from stream.pipeline.stages import FEEDS, Stage
from stream.pipeline.workers import AudioContext, Worker

POLL_S = 0.05
"""A worker looks for work at least so often, even when no bell rang."""
ERRORS = 3
"""Inputs in a row on which a worker may fail before it is given up."""
PAUSES_S = (0.0, 1.0, 5.0, 15.0, 60.0)
"""Before the first, second ... restart in a row; the last one repeats."""
TRUSTED_NS = 30_000_000_000
"""A worker that lived so long starts the row of restarts anew."""
ABANDONED = 3
"""So many hung threads may be left; then one of them must return before the next restart."""
LOOK_NS = 1_000_000_000
"""Between two checks at most so much counts as waiting: the whole program may have stood still."""

Around = Callable[[Worker], Worker]
"""Puts something around a worker, for example faults."""


@dataclass(frozen=True)
class Limit:
    """Seconds without an answer that make a hang: at loading and the first input, and later."""

    start_s: float
    run_s: float


LIMITS = {
    Stage.FACE: Limit(20.0, 3.0),
    Stage.VOICE: Limit(20.0, 3.0),
    Stage.TRANSCRIBE: Limit(60.0, 10.0),
}


class Supervised(Protocol):
    """What makes the workers of the stages, and is told what they take: a pipe."""

    spec: FeatureSpec
    origin_ns: int
    ingest: Ingest

    def worker(self, stage: Stage, anew: bool = False) -> Worker:
        """The worker of a stage; `anew`: it replaces one. Raises UserError when it cannot work."""
        ...

    def timed(self, stage: Stage, took_ns: int) -> None:
        """Remember what one run of a stage took."""
        ...


@dataclass
class WorkerState:
    """What a worker's thread tells while it lives; written by that thread alone."""

    born_ns: int
    busy: bool = True
    """Whether it loads or runs."""
    begun_ns: int = 0
    """When it took what it works on,"""
    step: int | None = None
    """and the step of that."""
    turns: int = 0
    """Counts everything it began."""
    answers: int = 0
    errors: int = 0
    """In a row."""
    failed: str = ""
    """Why it ended by itself."""
    done: bool = False
    """It has answered everything that there was."""


class WorkerSupervisor:
    """`start`, `check` at every tick, `stop`: all from one thread."""

    def __init__(
        self,
        name: Stage,
        pipe: Supervised,
        clock: Clock,
        post: Callable[[Event], None],
        around: Around,
    ) -> None:
        self.name = name
        self._pipe = pipe
        self._clock = clock
        self._post = post
        self._around = around
        self._bell = threading.Event()
        pipe.ingest.bells.append(self._bell)
        self._lock = threading.Lock()
        self._life: WorkerState | None = None
        self._thread: threading.Thread | None = None
        self._abandoned: list[threading.Thread] = []
        self._given_up = 0
        self._retry_ns = 0
        self._final = False
        self._seen = (0, 0, 0)  # the turn at the last check, how long it took by then, when

    def start(self) -> None:
        """Load a worker and let it work."""
        now_ns = self._clock.now_ns()
        self._life = life = WorkerState(now_ns, begun_ns=now_ns)
        self._seen = (0, 0, now_ns)
        self._thread = threading.Thread(
            target=self._live, args=(life, self._given_up > 0), name=self.name, daemon=True
        )
        self._thread.start()

    def check(self) -> None:
        """Give up a worker that failed or hangs; start a new one when its time has come."""
        now_ns = self._clock.now_ns()
        if self._life is not None and (reason := self._life.failed or self._hangs(now_ns)):
            self._give_up(self._life, reason, now_ns)
        if self._life is None and now_ns >= self._retry_ns and self._room():
            self.start()

    def finish(self) -> None:
        """No input comes any more: let the worker answer what is left, then end."""
        self._final = True
        self._bell.set()

    @property
    def working(self) -> bool:
        """Whether more answers can come."""
        life = self._life
        return life is not None and not life.done and not life.failed

    def stop(self) -> None:
        """Ignore what the worker still says; does not wait for it."""
        with self._lock:
            self._life = None
        self._bell.set()

    def _hangs(self, now_ns: int) -> str:
        """Why the worker counts as hung, or nothing."""
        life = self._life
        assert life is not None
        turn, waited_ns, last_ns = self._seen
        same = life.busy and life.turns == turn
        waited_ns = waited_ns + min(now_ns - last_ns, LOOK_NS) if same else 0
        self._seen = (life.turns, waited_ns, now_ns)
        limit = LIMITS[self.name]
        limit_s = limit.run_s if life.answers else limit.start_s
        return f"no answer for {limit_s:g} s" if waited_ns > limit_s * 1e9 else ""

    def _give_up(self, life: WorkerState, reason: str, now_ns: int) -> None:
        with self._lock:
            self._life = None
        if now_ns - life.born_ns > TRUSTED_NS:
            self._given_up = 0
        pause_s = PAUSES_S[min(self._given_up, len(PAUSES_S) - 1)]
        self._given_up += 1
        self._retry_ns = now_ns + round(pause_s * 1e9)
        if not life.failed:
            assert self._thread is not None
            self._abandoned.append(self._thread)
            if life.step is not None:
                self._post(Failed(FEEDS[self.name], life.step, reason))
        then = f"in {pause_s:g} s" if pause_s else "now"
        if not self._room():
            then = "once a hung one has returned"
        self._post(Down(self.name, life.begun_ns, f"{reason}; a new worker starts {then}"))

    def _room(self) -> bool:
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        return len(self._abandoned) < ABANDONED

    def _say(self, life: WorkerState, event: Event) -> bool:
        """Post what a worker says unless it was given up; whether it was not."""
        with self._lock:
            if life is self._life:
                self._post(event)
            return life is self._life

    def _live(self, life: WorkerState, anew: bool) -> None:
        """The worker's thread."""
        try:
            worker = self._around(self._pipe.worker(self.name, anew))
            if anew and not self._say(
                life, Restarted(self.name, self._clock.now_ns(), "a new worker is at work")
            ):
                return
            while life is self._life and life.errors < ERRORS and not life.done:
                self._turn(life, worker)
        except Exception as error:
            life.failed = _sentence(error)
        if life.errors >= ERRORS:
            life.failed = f"{ERRORS} errors in a row"

    def _turn(self, life: WorkerState, worker: Worker) -> None:
        """Take an input and answer it, or wait for one."""
        self._bell.clear()
        final = self._final
        work = worker.take(self._clock.now_ns(), final)
        if work is None:
            life.busy, life.done = False, final
            if not final:
                self._bell.wait(POLL_S)
            return
        life.begun_ns, life.step = self._clock.now_ns(), self._step(work)
        life.turns += 1
        life.busy = True
        try:
            events = worker.run(work)
        except Exception as error:
            life.errors += 1
            self._say(life, Failed(FEEDS[self.name], life.step, _sentence(error)))
        else:
            life.errors = 0
            ready_ns = self._clock.now_ns()
            self._pipe.timed(self.name, ready_ns - life.begun_ns)
            for event in stamped(events, ready_ns):
                self._say(life, event)
        life.answers += 1
        life.busy = False

    def _step(self, work: Any) -> int:
        if isinstance(work, FrameSample | AudioContext):
            return work.step
        return (self._clock.now_ns() - self._pipe.origin_ns) // self._pipe.spec.step_ns


def _sentence(error: Exception) -> str:
    said = str(error).rstrip(".")
    return said if isinstance(error, UserError) else f"{type(error).__name__}: {said}"
