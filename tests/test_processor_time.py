"""Processor time in all and by stage, as `bench live` tells it."""

from __future__ import annotations

import threading
import time

import pytest

from stream.bench.processor_time import CLIP, REST, TICK, ProcessorTime
from stream.pipeline.stages import Stage


def test_what_a_stage_computes_is_its_own_also_when_its_thread_has_ended() -> None:
    used: dict[str, float] = {}
    done, end = threading.Event(), threading.Event()

    def work() -> None:
        while time.thread_time() < 0.5:
            pass
        used["face"] = time.thread_time()
        done.set()
        end.wait()

    began_s = time.monotonic()
    measured = ProcessorTime()
    assert measured.per_second() is None  # no time has passed
    thread = threading.Thread(target=work, name="face")
    thread.start()
    done.wait()
    measured.look()
    end.set()
    thread.join()
    measured.look()
    found = measured.per_second()
    passed_s = time.monotonic() - began_s
    assert found is not None
    assert set(found["by_stage"]) == {*Stage, CLIP, TICK, REST}
    # The system counts in hundredths of a second.
    assert found["by_stage"]["face"] * passed_s == pytest.approx(used["face"], abs=0.05)
    assert found["by_stage"]["transcribe"] == 0.0
    assert found["total"] * passed_s >= used["face"] - 0.05
    assert sum(found["by_stage"].values()) == pytest.approx(found["total"], abs=0.1 / passed_s)
