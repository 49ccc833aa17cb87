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
from normtr.crowd import Crowd, Spread, Spreading, moved
from normtr.running_baseline import WEIGHT_S, RunningBaseline
from normtr.shipped import SHIPPED
from normtr.spec import LABELS
from normtr.window import Window, assemble
from stream.session.session import DEMO

CROWD: Crowd = {
    "face": Spread((0.5, 0.0, 0.0, 1.0, -0.5, -1.0, 0.0), (1.0, 0.5, 0.5, 2.0, 1.0, 1.0, 1.0)),
    "voice": Spread((0.0,) * 7, (1.0,) * 7),
}
LONG = 4 * round(120 / 0.25)
"""Steps of eight minutes."""


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


def person(bias: float, scale: float, steps: int = LONG) -> Any:
    """Centred logits of somebody who looks angrier than others and shows everything strongly."""
    random = np.random.default_rng(1)
    crowd = CROWD["face"]
    said = np.array(crowd.mean) + scale * np.array(crowd.deviation) * random.normal(
        size=(steps, len(LABELS))
    )
    said[:, 0] += bias
    return said - said.mean(1, keepdims=True)


def test_a_person_is_moved_onto_the_crowd_bit_by_bit(recognizer: Checkpoint) -> None:
    said = person(bias=3.0, scale=2.0)
    baseline = RunningBaseline(recognizer)
    rows = rows_saying(recognizer, "face", said)
    after = np.stack([baseline(w).rows["face"][-1] for w in windows(recognizer, {"face": rows})])
    found = logits(recognizer, "face", after)
    weight = round(WEIGHT_S / 0.25)
    # The first step is one of many of the crowd's: little is taken off yet.
    assert np.abs(found[0] - said[0]).max() < 4 * np.abs(said).max() / weight
    late = found[LONG // 2 :]
    centre = np.array(CROWD["face"].mean) - np.mean(CROWD["face"].mean)
    assert np.abs(late.mean(0) - centre).max() < 0.5 < np.abs(said.mean(0) - centre).max()
    assert late.std(0) == pytest.approx(np.array(CROWD["face"].deviation), rel=0.35)
    assert said.std(0).mean() > 1.6 * late.std(0).mean()


def test_only_what_the_head_reads_is_changed_and_gaps_stay(recognizer: Checkpoint) -> None:
    random = np.random.default_rng(2)
    weight, _ = heads(recognizer)["face"]
    rows = rows_saying(recognizer, "face", person(2.0, 1.0, 40))
    unread = random.normal(size=rows.shape)
    read = weight - weight.mean(0)
    unread -= unread @ np.linalg.pinv(read) @ read
    rows = (rows + unread).astype(np.float32)
    rows[::3] = np.nan
    baseline = RunningBaseline(recognizer)
    for before in windows(recognizer, {"face": rows}):
        after = baseline(before)
        assert after.gaps == before.gaps
        there = before.valid[0]
        assert np.array_equal(after.rows["face"][~there], before.rows["face"][~there])
        change = (after.rows["face"] - before.rows["face"])[there].astype("f8")
        kept = change - change @ np.linalg.pinv(read) @ read
        assert np.abs(kept).max(initial=0) < 1e-4
        assert np.array_equal(after.rows["voice"], before.rows["voice"])
        assert np.array_equal(after.rows["text"], before.rows["text"])


def test_each_step_counts_once_and_another_person_begins_anew(recognizer: Checkpoint) -> None:
    rows = rows_saying(recognizer, "face", person(3.0, 1.0, 60))
    stream = windows(recognizer, {"face": rows})
    one, other = RunningBaseline(recognizer), RunningBaseline(recognizer)
    first = [one(w) for w in stream]
    again = [other(w) for w in stream]
    assert all(
        np.array_equal(a.rows["face"], b.rows["face"]) for a, b in zip(first, again, strict=True)
    )
    one.forget()
    assert np.array_equal(one(stream[0]).rows["face"], first[0].rows["face"])


def test_without_a_crowd_windows_stay_as_they_are(recognizer: Checkpoint) -> None:
    rows = rows_saying(recognizer, "face", person(3.0, 1.0, 3))
    baseline = RunningBaseline(replace(recognizer, crowd={}))
    for window in windows(recognizer, {"face": rows}):
        assert np.array_equal(baseline(window).rows["face"], window.rows["face"])


def test_a_spread_is_drawn_to_the_crowd_and_what_is_old_counts_less() -> None:
    crowd = Spread((0.0, 0.0), (1.0, 1.0))
    follow = Spreading(crowd, weight=10)
    assert follow.spread.mean == crowd.mean
    assert follow.spread.deviation == pytest.approx(crowd.deviation)
    for _ in range(10):
        follow.add(np.array([2.0, -2.0]))
    assert follow.spread.mean == pytest.approx((1.0, -1.0))
    assert follow.spread.deviation == pytest.approx((1.5**0.5,) * 2)
    fading = Spreading(crowd, weight=0.1, kept=0.5)
    for value in (5.0, 5.0, 5.0, *[1.0] * 20):
        fading.add(np.array([value, -value]))
    assert fading.spread.mean == pytest.approx((1.0, -1.0), abs=0.1)


def test_who_is_moved_has_the_other_spread() -> None:
    one, other = Spread((1.0, -1.0), (2.0, 0.5)), Spread((0.0, 0.0), (1.0, 1.0))
    assert moved(np.array([3.0, -1.5]), one, other) == pytest.approx(np.array([1.0, -1.0]))
    assert moved(moved(np.array([3.0, 4.0]), one, other), other, one) == pytest.approx([3.0, 4.0])
    mixed = Spread.of_moments((one.moments + one.moments) / 2)
    assert mixed.mean == pytest.approx(one.mean)
    assert mixed.deviation == pytest.approx(one.deviation)


@pytest.mark.slow
def test_live_estimates_are_of_an_average_person_unless_the_baseline_is_off(
    tmp_path: Path,
) -> None:
    shutil.copytree(SHIPPED, tmp_path / "weights")
    path = tmp_path / "weights/manifest.json"
    manifest = json.loads(path.read_text())
    manifest["crowd"] = {m: asdict(spread) for m, spread in CROWD.items()}
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
    assert change[-1] > 0.002 > change[0]
    # What goes out as the window's rows is what was seen, not what was judged.
    assert all(np.array_equal(a, b) for a, b in zip(rows[0], rows[2], strict=True))
