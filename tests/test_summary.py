"""The summary of a long session: all counted, the last half hour drawn, no more memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from rich.console import Console

from normtr.judge import Judgement
from normtr.spec import LABELS, MODALITIES, FeatureSpec
from normtr.window import assemble
from stream import timeline
from stream.recognizer import Estimate
from stream.summary import REMEMBERED, Summary

SPEC = FeatureSpec()
COLUMN = [("muted", None)] * SPEC.steps


def estimate(step: int) -> Estimate:
    begin_ns = (step + 1 - SPEC.steps) * SPEC.step_ns
    window = assemble(SPEC, begin_ns, dict.fromkeys(MODALITIES, COLUMN))
    happy = Judgement((0.1,) * 7, "happy", 0.8, step < 10, window.share)
    return Estimate(step, window, happy, 0, 0)


def test_a_long_session_is_counted_whole_and_drawn_at_its_end(tmp_path: Path) -> None:
    summary = Summary(LABELS, 0)
    count = REMEMBERED + 1000
    for step in range(count):
        if step == REMEMBERED - 500:  # tracing is slow
            tracemalloc.start()
        said_now = estimate(step)
        summary.add(said_now.window.end_ns + 170_000_000, said_now)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 100_000
    assert summary.causes("voice") == {"muted": count}
    steps = summary.steps()
    assert [number for number, _ in steps] == list(range(steps[0][0], count))
    assert summary.stretches()[-1][1:3] == (count * 0.25, "happy")
    with (tmp_path / "said.txt").open("w") as file:
        Console(file=file, width=120).print(summary.render())
    said = (tmp_path / "said.txt").read_text()
    assert f"{count} estimates" in said
    assert "median 170 ms" in said
    timeline.draw(tmp_path / "a.png", summary, [], "long")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
