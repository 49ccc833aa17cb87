"""Workers that fail and hang: a whole session in real time, and a stage against a virtual clock."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from stream.capture.clip import RealTimeClip
from stream.clock import Monotonic, Virtual
from stream.pipeline.events import Condition, Down, Event, Failed, Restarted, TranscriptEvent
from stream.pipeline.models import Models
from stream.pipeline.outputs import HealthReport, Notice, Output
from stream.pipeline.pipe import Pipe
from stream.pipeline.pipe_config import PipeConfig
from stream.pipeline.window_assembler import Estimate
from stream.pipeline.worker_supervisor import ABANDONED, LIMITS, PAUSES_S, WorkerSupervisor
from stream.pipeline.workers import Worker
from stream.session.realtime import Session
from stream.session.session import DEMO
from stream.session.source_session import SourceSpec

pytestmark = pytest.mark.slow

LIMIT_S = 90.0
STEP_NS = 250_000_000


class Faulty:
    """A worker that follows a plan: from its `good`th answer on it raises, or hangs until freed."""

    def __init__(self, worker: Worker, good: int, freed: threading.Event | None = None) -> None:
        self.name = worker.name
        self._worker = worker
        self._good = good
        self._freed = freed

    def take(self, now_ns: int, final: bool = False) -> Any | None:
        return self._worker.take(now_ns, final)

    def run(self, work: Any) -> Sequence[Event]:
        self._good -= 1
        if self._good >= 0:
            return self._worker.run(work)
        if self._freed is None:
            raise RuntimeError("boom")
        self._freed.wait()
        return [Condition(self.name, "denied", 0)]  # would be seen for ever


@dataclass(frozen=True)
class Run:
    """What a session with faults gave, and how many workers of each stage there were."""

    outputs: list[Output]
    lives: Counter[str]
    origin_ns: int

    def notices(self, modality: str) -> list[Notice]:
        """Return the notices about the modality's worker."""
        told = [o for o in self.outputs if isinstance(o, Notice) and o.modality == modality]
        return [notice for notice in told if notice.kind.startswith("worker_")]

    def gaps(self, modality: str) -> list[str]:
        """Each step's cause as it left the window."""
        estimates = [o for o in self.outputs if isinstance(o, Estimate)]
        causes = {e.step - 15: e.window.gaps[modality][0] for e in estimates}
        return [cause for step, cause in sorted(causes.items()) if step >= 0]

    def step(self, notice: Notice) -> int:
        return (notice.at_ns - self.origin_ns) // STEP_NS


@pytest.fixture(scope="module")
def models() -> Models:
    loaded = Models(PipeConfig())
    loaded.warm_up((480, 640))
    return loaded


@pytest.fixture(scope="module")
def run(models: Models) -> Run:
    """Two face workers that raise, a voice worker and a transcriber that hang; then sound ones.

    The hung voice worker comes back while its successor works.
    """
    lives: Counter[str] = Counter()
    freed = {"voice": threading.Event(), "transcribe": threading.Event()}
    plan = {("face", 1): 16, ("face", 2): 0, ("voice", 1): 8, ("transcribe", 1): 1}

    def around(worker: Worker) -> Worker:
        lives[worker.name] += 1
        good = plan.get((worker.name, lives[worker.name]))
        return worker if good is None else Faulty(worker, good, freed.get(worker.name))

    clip = RealTimeClip(str(DEMO), LIMIT_S, repeat=True)
    given = [SourceSpec("demo", [clip], models)]
    session = Session(PipeConfig(), given, Monotonic(), LIMIT_S, around)
    outputs: list[Output] = []
    restarted = []
    for _, output in session:
        outputs.append(output)
        if isinstance(output, Notice) and output.kind == "worker_restarted":
            restarted.append(output)
        if isinstance(output, Estimate):
            if len(restarted) == 3:
                freed["voice"].set()
            if len(restarted) == 4 and output.window.begin_ns > restarted[-1].at_ns + 3 * 10**9:
                break
    freed["transcribe"].set()
    return Run(outputs, lives, session.origin_ns)


def test_estimates_never_stop(run: Run) -> None:
    steps = [output.step for output in run.outputs if isinstance(output, Estimate)]
    assert steps == sorted(set(steps))
    assert len(steps) > 0.9 * steps[-1]


def test_a_worker_that_keeps_raising_is_replaced_until_one_works(run: Run) -> None:
    kinds = [notice.kind for notice in run.notices("face")]
    broken = ["worker_error"] * 3 + ["worker_down", "worker_restarted"]
    assert kinds == broken * 2
    assert run.lives["face"] == 3
    details = [notice.detail for notice in run.notices("face")]
    assert details[0] == "RuntimeError: boom"
    assert details[3] == "3 errors in a row; a new worker starts now"
    assert details[8].endswith("in 1 s")
    first, last = run.step(run.notices("face")[0]), run.step(run.notices("face")[-1])
    gaps = run.gaps("face")
    # A busy machine drops some, too.
    assert "error" in gaps[first : last - 1]
    assert set(gaps[first : last - 1]) <= {"error", "dropped"}
    assert "error" not in gaps[:first] + gaps[last + 3 :]


def test_a_worker_that_hangs_is_replaced_and_not_listened_to_any_more(run: Run) -> None:
    lost, down, back = run.notices("voice")
    assert [lost.kind, down.kind, back.kind] == ["worker_error", "worker_down", "worker_restarted"]
    assert "no answer for 3 s" in down.detail
    gaps = run.gaps("voice")
    begin, end = run.step(lost), run.step(back) + 1
    errors = [step for step, cause in enumerate(gaps) if cause == "error"]
    assert errors == list(range(begin, begin + len(errors)))
    assert 3 * 4 <= len(errors) <= end - begin
    assert "none" in gaps[end:]
    assert "denied" not in gaps  # what the hung one said when it came back


def test_a_transcriber_that_hangs_is_replaced_and_words_go_on(run: Run) -> None:
    _, down, back = run.notices("text")
    assert "no answer for 10 s" in down.detail
    # What left the window before it counted as hung was `late`.
    known, voice = range(run.step(back) - 12, run.step(back)), run.gaps("voice")
    assert not {"late", "no_words"} & {
        run.gaps("text")[step] for step in known if voice[step] == "none"
    }
    heard = [output for output in run.outputs if isinstance(output, TranscriptEvent)]
    before = [h for h in heard if h.ready_ns < back.at_ns]
    after = [h for h in heard if h.ready_ns > back.at_ns]
    assert after
    said = {word.id for h in before for word in h.words}
    added = [c.word.id for h in after for c in h.changes if c.change == "add"]
    assert added
    assert not said & set(added)


def test_restarts_are_counted_in_health(run: Run) -> None:
    counted = [output.restarts for output in run.outputs if isinstance(output, HealthReport)]
    assert counted[0] == {"face": 0, "voice": 0, "transcribe": 0}
    assert counted[-1] == {"face": 2, "voice": 1, "transcribe": 1}


class Rig:
    """A voice stage on a virtual clock; its workers have endless work and do `run` with it."""

    name = "voice"

    def __init__(self, models: Models, run: Callable[[], None]) -> None:
        self.clock = Virtual()
        self.said: list[Event] = []
        self.running = 0
        self._run = run
        pipe = Pipe(PipeConfig(text="off"), models, 0, self.said.append)
        self.stage = WorkerSupervisor(
            "voice", pipe, self.clock, self.said.append, lambda worker: self
        )
        self.stage.start()

    def take(self, now_ns: int, final: bool = False) -> Any | None:
        return "work"

    def run(self, work: Any) -> Sequence[Event]:
        self.running += 1
        self._run()
        return []

    def pass_s(self, seconds: float) -> None:
        """Let so much time pass, with a look at the worker every half second."""
        for _ in range(round(2 * seconds)):
            self.clock.advance(self.clock.now_ns() + 500_000_000)
            self.stage.check()

    def until(self, holds: Callable[[], bool]) -> None:
        """Threads need real time."""
        limit = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < limit
            time.sleep(0.01)

    def of(self, kind: type[Event]) -> int:
        return sum(isinstance(event, kind) for event in self.said)


def test_restarts_back_off_and_go_on_for_ever(models: Models) -> None:
    def fail() -> None:
        raise RuntimeError("boom")

    rig = Rig(models, fail)
    for lives, pause_s in enumerate([*PAUSES_S, PAUSES_S[-1]], 1):
        rig.until(lambda: rig.running == 3 * lives and not rig.stage.working)  # noqa: B023
        rig.stage.check()
        assert rig.of(Down) == lives
        if pause_s:
            rig.pass_s(pause_s - 0.5)
            assert rig.of(Restarted) == lives - 1
            rig.pass_s(0.5)
    rig.until(lambda: rig.of(Restarted) == len(PAUSES_S) + 1)
    assert rig.of(Failed) >= 3 * (len(PAUSES_S) + 1)
    rig.stage.stop()


def test_hung_threads_do_not_pile_up(models: Models) -> None:
    freed = threading.Event()
    rig = Rig(models, freed.wait)
    for number in range(1, ABANDONED + 1):
        rig.until(lambda: rig.running == number)  # noqa: B023
        rig.pass_s(LIMITS["voice"].start_s + 1.0)
        assert rig.of(Down) == number
        if number < ABANDONED:
            rig.pass_s(PAUSES_S[number - 1])
    rig.pass_s(600)
    assert rig.running == ABANDONED
    assert "once a hung one has returned" in str(rig.said[-1])
    freed.set()
    rig.until(lambda: (rig.stage.check(), rig.running)[1] > ABANDONED)
    rig.stage.stop()


def test_a_program_that_stood_still_has_no_hung_workers(models: Models) -> None:
    freed = threading.Event()
    rig = Rig(models, freed.wait)
    rig.until(lambda: rig.running == 1)
    for _ in range(5):
        rig.clock.advance(rig.clock.now_ns() + 3_600_000_000_000)
        rig.stage.check()
    assert not rig.of(Down)
    rig.stage.stop()
    freed.set()
