"""What a session leaves behind: each step's last word, in little memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from normtr.cause import Cause
from normtr.predictor import Prediction
from normtr.spec import LABELS, FeatureSpec
from normtr.window import Row, assemble
from stream.pipeline.window_assembler import Estimate
from stream.views.summary import NOTHING, REMEMBERED, STRETCHES, Summary

SPEC = FeatureSpec()


def estimate(step: int, voice: list[str], top: int = 0, abstained: bool = False) -> Estimate:
    """At `step`; `voice`: causes of the last steps of the window, steps before had a row."""
    n = SPEC.steps

    def column(causes: list[str], dim: int) -> list[tuple[str, Row | None]]:
        whole = [Cause.NONE] * (n - len(causes)) + causes
        return [(c, np.ones(dim, np.float32) if c == Cause.NONE else None) for c in whole]

    dims = SPEC.dims
    columns = {
        "face": column([], dims["face"]),
        "voice": column(voice, dims["voice"]),
        "text": column([], dims["text"]),
    }
    window = assemble(SPEC, (step + 1 - n) * SPEC.step_ns, columns)
    p = [0.05] * len(LABELS)
    p[top] = 0.7
    share = {"face": 1.0, "voice": 0.0, "text": 0.0}
    prediction = Prediction(tuple(p), LABELS[top], 0.7, abstained, share)
    return Estimate(step, window, prediction, window.end_ns, faces=2)


def test_a_step_is_told_by_the_last_estimate_that_holds_it() -> None:
    summary = Summary(LABELS, 0)
    summary.add(0, estimate(0, ["late"]))
    summary.add(0, estimate(1, [Cause.NONE, "silence"]))
    summary.add(0, estimate(4, ["muted", "silence", "silence", "late"]))  # two ticks were skipped
    told = dict(summary.steps())
    assert [told[n]["voice"] for n in range(5)] == [
        Cause.NONE,
        "muted",
        "silence",
        "silence",
        "late",
    ]
    assert {causes["face"] for causes in told.values()} == {Cause.NONE}
    assert summary.causes("voice") == {Cause.NONE: 1, "muted": 1, "silence": 2, "late": 1}
    assert summary.ends_s() == [0.25, 0.5, 1.25]


def test_stretches_join_what_is_alike_and_abstention_has_no_label() -> None:
    summary = Summary(LABELS, 0)
    for step, (top, abstained) in enumerate([(3, False), (3, False), (3, True), (0, False)]):
        summary.add(0, estimate(step, [], top, abstained))
    assert [(b, e, label) for b, e, label, _ in summary.stretches()] == [
        (0.0, 0.5, LABELS[3]),
        (0.5, 0.75, NOTHING),
        (0.75, 1.0, LABELS[0]),
    ]


@pytest.mark.parametrize("count", [0, 3, 200])
def test_a_long_session_shows_its_last_stretches(count: int) -> None:
    summary = Summary(LABELS, 0)
    for step in range(count):
        summary.add(0, estimate(step, [], step % 2))
    console = Console(width=100, record=True)
    console.print(summary.render())
    shown = console.export_text()
    assert (f"the last {STRETCHES} of {count}" in shown) == (count > STRETCHES)
    assert ("no estimate was made" in shown) == (count == 0)


@pytest.mark.slow
def test_memory_is_small_and_ends_growing() -> None:
    summary, windows = Summary(LABELS, 0), [estimate(n, []) for n in range(2 * SPEC.steps)]
    tracemalloc.start()
    for n in range(5 * REMEMBERED):
        # The same few windows, so that only what the summary keeps is counted.
        summary.add(0, replace(windows[n % len(windows)], step=n))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * REMEMBERED * 100
    assert summary.estimates == 5 * REMEMBERED
    numbers = [number for number, _ in summary.steps()]
    assert REMEMBERED <= len(numbers) <= 2 * REMEMBERED + SPEC.steps
    assert numbers == list(range(numbers[0], 5 * REMEMBERED))
    assert summary.causes("voice")[Cause.NONE] == 5 * REMEMBERED
    assert len(summary.curves()) == len(summary.ends_s()) == len(summary.abstained())


@pytest.mark.slow
def test_a_soak_remembers_every_step_by_which_faults_are_judged() -> None:
    steps = 3 * REMEMBERED
    summary, windows = Summary(LABELS, 0, steps), [estimate(n, []) for n in range(2 * SPEC.steps)]
    for n in range(steps):
        summary.add(0, replace(windows[n % len(windows)], step=n))
    assert [number for number, _ in summary.steps()][:2] == [0, 1]
