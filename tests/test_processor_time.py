"""Processor time in all and by stage, as `bench live` tells it."""

from __future__ import annotations

import threading
import time

import pytest

from stream.bench.processor_time import CLIP, REST, TICK, ProcessorTime
from stream.pipeline.stages import Stage


def test_what_a_stage_computes_is_its_own() -> None:
    used: dict[str, float] = {}
    begin, done, end = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begin.wait()
        while time.thread_time() < 0.5:
            pass
        used["face"] = time.thread_time()
        done.set()
        end.wait()

    thread = threading.Thread(target=work, name="face")
    thread.start()
    before = ProcessorTime.now()
    begin.set()
    done.wait()
    after = ProcessorTime.now()
    found = after.per_second(before)
    end.set()
    thread.join()
    assert found is not None
    passed_s = after.at_s - before.at_s
    assert set(found["by_stage"]) == {*Stage, CLIP, TICK, REST}
    # The system counts in hundredths of a second.
    assert found["by_stage"]["face"] * passed_s == pytest.approx(used["face"], abs=0.05)
    assert found["by_stage"]["transcribe"] == 0.0
    assert found["total"] * passed_s >= used["face"] - 0.05
    assert sum(found["by_stage"].values()) == pytest.approx(found["total"], abs=0.05 / passed_s)


def test_of_no_time_there_is_no_share() -> None:
    now = ProcessorTime.now()
    assert now.per_second(now) is None
