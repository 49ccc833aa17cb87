"""A running baseline: what it takes off a person's rows, when, and what it leaves alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

import stream
from normtr import checkpoint
from normtr.cause import Cause
from normtr.checkpoint import Checkpoint
from normtr.crowd import Crowd, Expected, Residual
from normtr.running_baseline import WEIGHT_S, RunningBaseline
from normtr.shipped import SHIPPED
from normtr.spec import LABELS
from normtr.window import Window, assemble
from stream.session.session import DEMO

ONES = np.eye(len(LABELS)) - 1 / len(LABELS)
CROWD: Crowd = {m: Expected(tuple(map(tuple, 3.0 * ONES))) for m in ("face", "voice")}
"""Those who express a label say it with a logit that lies 3 over the others."""
SAD, ANGRY = LABELS.index("sad"), LABELS.index("angry")


@pytest.fixture(scope="module")
def recognizer() -> Checkpoint:
    return replace(checkpoint.load(SHIPPED), crowd=CROWD)


def heads(recognizer: Checkpoint) -> dict[str, tuple[Any, Any]]:
    of = {"face": recognizer.face, "voice": recognizer.voice}
    return {m: (w["head.weight"].astype("f8"), w["head.bias"].astype("f8")) for m, w in of.items()}


def logits(recognizer: Checkpoint, modality: str, rows: Any) -> Any:
    weight, bias = heads(recognizer)[modality]
    found = rows @ weight.T + bias
    return found - found.mean(-1, keepdims=True)


def rows_saying(recognizer: Checkpoint, modality: str, said: Any) -> Any:
    """Rows [n, dim] whose centred logits are `said` [n, C], whose mean over C is 0."""
    weight, bias = heads(recognizer)[modality]
    weight, bias = weight - weight.mean(0), bias - bias.mean()
    return ((said - bias) @ np.linalg.pinv(weight).T).astype(np.float32)


def windows(recognizer: Checkpoint, rows: dict[str, Any]) -> list[Window]:
    """The windows that end with each step of a stream of these rows; NaN is a gap."""
    spec, count = recognizer.spec, len(next(iter(rows.values())))
    out = []
    for last in range(count):
        numbers = range(last + 1 - spec.steps, last + 1)
        columns: dict[str, list[Any]] = {
            m: [(Cause.OFF, None)] * spec.steps for m in spec.dims if m not in rows
        }
        for m, of in rows.items():
            columns[m] = [
                (Cause.NONE, of[n]) if n >= 0 and not np.isnan(of[n][0]) else (Cause.STARTING, None)
                for n in numbers
            ]
        out.append(assemble(spec, numbers[0] * spec.step_ns, columns))
    return out


def sure(label: int) -> list[float]:
    return [0.94 if number == label else 0.01 for number in range(len(LABELS))]


def person(labels: list[int], bias: float) -> Any:
    """Centred logits of somebody who expresses these labels, and looks angrier than others."""
    random = np.random.default_rng(1)
    said = 3.0 * ONES[labels] + 0.5 * random.normal(size=(len(labels), len(LABELS)))
    said[:, ANGRY] += bias
    return said - said.mean(1, keepdims=True)


def test_what_is_said_beside_what_is_expected_is_taken_off_by_and_by(
    recognizer: Checkpoint,
) -> None:
    labels = [n // 20 % len(LABELS) for n in range(480)]  # two minutes
    said = person(labels, bias=2.0)
    rows = rows_saying(recognizer, "face", said)
    baseline, taken = RunningBaseline(recognizer), []
    for window, label in zip(windows(recognizer, {"face": rows}), labels, strict=True):
        moved = baseline(window)
        taken.append((window.rows["face"] - moved.rows["face"])[-1])
        baseline.learn(window, sure(label))
    off = logits(recognizer, "face", np.stack(taken)) - logits(recognizer, "face", np.zeros(512))
    others = [n for n in range(len(LABELS)) if n != ANGRY]
    more = off[:, ANGRY] - off[:, others].mean(1)
    assert more[0] == 0
    assert more[round(WEIGHT_S / 0.25)] == pytest.approx(1.0, abs=0.2)  # half of it
    assert more[-1] == pytest.approx(1.6, abs=0.2)
    assert np.abs(off[-1, others]).max() < 0.5


def test_a_mood_that_lasts_is_not_taken_for_the_person(recognizer: Checkpoint) -> None:
    labels = [SAD] * 1200  # five minutes
    rows = rows_saying(recognizer, "voice", person(labels, bias=0.0))
    baseline = RunningBaseline(recognizer)
    for window in windows(recognizer, {"voice": rows}):
        moved = baseline(window)
        baseline.learn(window, sure(SAD))
    change = logits(recognizer, "voice", (moved.rows["voice"] - window.rows["voice"])[-1])
    change = change - logits(recognizer, "voice", np.zeros(512))
    assert abs(change[SAD]) < 0.3  # of 3


def test_only_what_the_head_reads_is_changed_and_gaps_stay(recognizer: Checkpoint) -> None:
    weight, _ = heads(recognizer)["face"]
    read = weight - weight.mean(0)
    rows = rows_saying(recognizer, "face", person([SAD] * 40, 2.0))
    rows[::3] = np.nan
    baseline = RunningBaseline(recognizer)
    for before in windows(recognizer, {"face": rows}):
        after = baseline(before)
        baseline.learn(before, sure(SAD))
        assert after.gaps == before.gaps
        there = before.valid[0]
        assert np.array_equal(after.rows["face"][~there], before.rows["face"][~there])
        change = (after.rows["face"] - before.rows["face"])[there].astype("f8")
        kept = change - change @ np.linalg.pinv(read) @ read
        assert np.abs(kept).max(initial=0) < 1e-4
        assert np.array_equal(after.rows["voice"], before.rows["voice"])
        assert np.array_equal(after.rows["text"], before.rows["text"])
    assert np.abs(change).max() > 1e-3


def test_another_person_begins_anew(recognizer: Checkpoint) -> None:
    stream_of = windows(
        recognizer, {"face": rows_saying(recognizer, "face", person([SAD] * 60, 3.0))}
    )
    baseline = RunningBaseline(recognizer)
    for window in stream_of:
        baseline.learn(window, sure(SAD))
    assert not np.array_equal(baseline(stream_of[-1]).rows["face"], stream_of[-1].rows["face"])
    baseline.forget()
    assert np.array_equal(baseline(stream_of[-1]).rows["face"], stream_of[-1].rows["face"])


def test_without_a_crowd_windows_stay_as_they_are(recognizer: Checkpoint) -> None:
    rows = rows_saying(recognizer, "face", person([SAD] * 3, 3.0))
    baseline = RunningBaseline(replace(recognizer, crowd={}))
    for window in windows(recognizer, {"face": rows}):
        assert np.array_equal(baseline(window).rows["face"], window.rows["face"])
        baseline.learn(window, sure(SAD))


def test_a_residual_is_drawn_to_nothing_and_what_is_old_counts_less() -> None:
    of = Residual(2, weight=10)
    assert of.mean.tolist() == [0, 0]
    for _ in range(10):
        of.add(np.array([3.0, -1.0]), np.array([1.0, 1.0]))
    assert of.mean == pytest.approx([1.0, -1.0])
    fading = Residual(1, weight=0.1, kept=0.5)
    for value in (5.0, 5.0, 5.0, *[1.0] * 20):
        fading.add(np.array([value]), np.array([0.0]))
    assert fading.mean == pytest.approx([1.0], abs=0.1)


def test_what_is_expected_is_the_mean_over_the_labels() -> None:
    of = Expected(((1.0, -1.0), (-3.0, 3.0)))
    assert of.of((0.75, 0.25)) == pytest.approx([0.0, 0.0])
    assert of.fits(2)
    assert not of.fits(3)
    assert not Expected(((1.0, float("inf")), (0.0, 0.0))).fits(2)
    assert not Expected(((1.0,), (0.0, 0.0))).fits(2)


@pytest.mark.slow
def test_live_a_baseline_is_taken_off_unless_it_is_off(
    tmp_path: Path,
) -> None:
    shutil.copytree(SHIPPED, tmp_path / "weights")
    path = tmp_path / "weights/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["crowd"] = {m: asdict(of) for m, of in CROWD.items()}
    path.write_text(json.dumps(manifest))

    def probabilities(folder: Path, baseline: Literal["running", "off"]) -> Any:
        config = stream.SourceConfig(
            source=str(DEMO), fast=True, seconds=4, text="off", checkpoint=folder, baseline=baseline
        )
        seen = list(stream.estimates(config))
        assert len(seen) == 16
        rows.append([estimate.window.rows["face"][-1] for estimate in seen])
        return np.array([estimate.prediction.probabilities for estimate in seen])

    rows: list[Any] = []
    without = probabilities(SHIPPED, "running")
    assert np.array_equal(probabilities(tmp_path / "weights", "off"), without)
    followed = probabilities(tmp_path / "weights", "running")
    change = np.abs(followed - without).max(1)
    assert change[-1] > 0.002 > change[0] == 0
    # What goes out as the window's rows is what was seen, not what was judged.
    assert all(np.array_equal(a, b) for a, b in zip(rows[0], rows[2], strict=True))
