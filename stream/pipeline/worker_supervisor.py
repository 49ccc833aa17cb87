"""Runs one stage on a thread of its own, and replaces its worker when it fails or hangs.

Nobody can end a thread that hangs in a library. So it is given up: it may go on, but what it says
is ignored, and a new worker with newly loaded models takes its place on a new thread.
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
"""A worker looks for work at least this often, even when no bell rang."""
ERRORS = 3
"""A worker that fails on this many inputs in a row is given up."""
PAUSES_S = (0.0, 1.0, 5.0, 15.0, 60.0)
"""Pauses before the first, second ... restart in a row; the last pause repeats."""
TRUSTED_NS = 30_000_000_000
"""After a worker that lived this long, the pauses begin with the first again."""
ABANDONED = 3
"""With this many hung threads left, one of them must return before the next restart."""
LOOK_NS = 1_000_000_000
"""At most this much time between two checks counts as waiting, since the whole program may have
stood still."""

Around = Callable[[Worker], Worker]
"""Wraps a worker in another one, for example to make it fail."""


@dataclass(frozen=True)
class Limit:
    """A worker that gives no answer for so many seconds hangs: `start_s` while it loads and on its
    first input, `run_s` later."""

    start_s: float
    run_s: float


LIMITS = {
    Stage.FACE: Limit(20.0, 3.0),
    Stage.VOICE: Limit(20.0, 3.0),
    Stage.TRANSCRIBE: Limit(60.0, 10.0),
}


class Supervised(Protocol):
    """Makes the workers of the stages and is told how long they take; it is a pipe."""

    spec: FeatureSpec
    origin_ns: int
    ingest: Ingest

    def worker(self, stage: Stage, anew: bool = False) -> Worker:
        """Return the worker of a stage; `anew` says that it replaces one.

        Raises UserError when it cannot work.
        """
        ...

    def timed(self, stage: Stage, took_ns: int) -> None:
        """Remember how long one run of a stage took."""
        ...


@dataclass
class WorkerState:
    """What a worker's thread tells while it lives; only that thread writes it."""

    born_ns: int
    busy: bool = True
    """Whether it loads or runs."""
    begun_ns: int = 0
    """When it took the input that it works on."""
    step: int | None = None
    """The step of that input."""
    turns: int = 0
    """The number of inputs that it has begun with."""
    answers: int = 0
    errors: int = 0
    """The number of errors in a row."""
    failed: str = ""
    """The reason why it ended by itself; empty while it lives."""
    done: bool = False
    """Whether it has answered everything that there was."""


class WorkerSupervisor:
    """Supervises the worker of one stage. One thread calls `start`, then `check` at every tick, and
    `stop`."""

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
        """Let the worker answer what is left, and then end: no input comes any more."""
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
        """Return why the worker counts as hung; empty if it does not."""
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
        """Post what a worker says unless it was given up; return whether it was posted."""
        with self._lock:
            if life is self._life:
                self._post(event)
            return life is self._life

    def _live(self, life: WorkerState, anew: bool) -> None:
        """Work until the worker is given up; this runs on the worker's thread."""
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
