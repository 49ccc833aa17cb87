"""The format of gap traces, and what a session records in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from normtr import gap_trace
from normtr.cause import Cause
from normtr.errors import UserError
from normtr.predictor import Prediction
from normtr.spec import LABELS, MODALITIES, FeatureSpec
from normtr.window import assemble
from stream.pipeline.window_assembler import Estimate
from stream.publish.gap_recorder import GapRecorder

SPEC = FeatureSpec()


def causes(face: str) -> dict[str, str]:
    return {"face": face, "voice": "silence", "text": "no_words"}


def estimate(step: int, face: str) -> Estimate:
    """Every step since 0 has this cause in the face."""
    columns = {
        m: [(cause if n >= 0 else "starting", None) for n in range(step + 1 - SPEC.steps, step + 1)]
        for m, cause in causes(face).items()
    }
    window = assemble(SPEC, (step + 1 - SPEC.steps) * SPEC.step_ns, columns)
    prediction = Prediction((1 / 7,) * 7, LABELS[0], 0.0, True, window.share)
    return Estimate(step, window, prediction, 0, 0)


def test_a_step_is_recorded_as_it_was_when_it_left_the_window(tmp_path: Path) -> None:
    path = tmp_path / "gaps.jsonl"
    recorder = GapRecorder(path)
    for step in range(17):
        recorder.take([], estimate(step, "late" if step < 15 else "no_face"))
    before = gap_trace.read(path)  # while it is being written
    recorder.close()
    (stream,) = gap_trace.read(path)
    assert before == [stream[:1]]
    assert stream == [causes("no_face")] * 17
    assert json.loads(path.read_text().splitlines()[3]) == {"step": 3, **causes("no_face")}


def test_steps_that_no_window_held_begin_another_stream(tmp_path: Path) -> None:
    path = tmp_path / "gaps.jsonl"
    recorder = GapRecorder(path)
    for step in (0, 3, 40):
        recorder.take([], estimate(step, "late"))
    recorder.close()
    assert [len(stream) for stream in gap_trace.read(path)] == [4, 16]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "gaps.jsonl"
    whole = gap_trace.line(0, causes(Cause.NONE)) + gap_trace.line(1, causes(Cause.NONE))
    path.write_text(whole + gap_trace.line(2, causes(Cause.NONE))[:30])
    assert gap_trace.read(path) == [[causes(Cause.NONE)] * 2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no step"),
        ('{"step": 0}\n', "line 1 .* is damaged"),
        ("[]\n", "line 1 .* is damaged"),
        (gap_trace.line(0, causes("tired")), "'tired'"),
        (gap_trace.line(0, causes(Cause.NONE)) + "\x00\n", "line 2 .* is damaged"),
    ],
)
def test_what_is_no_trace_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "gaps.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        gap_trace.read(path)
    with pytest.raises(UserError, match="cannot read"):
        gap_trace.read(tmp_path / "none.jsonl")


def test_a_trace_tells_nothing_but_causes() -> None:
    assert set(json.loads(gap_trace.line(5, causes(Cause.NONE)))) == {"step", *MODALITIES}
    assert np.all(
        [
            value in (5, *causes(Cause.NONE).values())
            for value in json.loads(gap_trace.line(5, causes(Cause.NONE))).values()
        ]
    )
