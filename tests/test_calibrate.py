"""`normtr calibrate`: what is measured, what is kept, what is refused."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stream
from normtr import checkpoint, user_baseline
from normtr.cause import Cause
from normtr.checkpoint import Checkpoint
from normtr.errors import UserError
from normtr.predictor import Predictor
from normtr.shipped import SHIPPED
from normtr.spec import LABELS
from normtr.window import Window, assemble
from stream.commands import calibrate
from stream.session.session import DEMO
from tests.support import clips
from tests.support.program import refused

pytestmark = pytest.mark.slow

NEUTRAL = LABELS.index("neutral")


@pytest.fixture(scope="module")
def shipped() -> Checkpoint:
    return checkpoint.load(SHIPPED)


def rows(shipped: Checkpoint, n: int = 20) -> dict[str, list[Any]]:
    random = np.random.default_rng(0)
    return {
        m: list(random.random((n, dim), np.float32))
        for m, dim in shipped.spec.dims.items()
        if m != "text"
    }


def window(shipped: Checkpoint, seen: dict[str, list[Any]]) -> Window:
    columns: dict[str, list[Any]] = {
        m: [(Cause.NONE, row) for row in of[: shipped.spec.steps]] for m, of in seen.items()
    }
    return assemble(shipped.spec, 0, {**columns, "text": [("off", None)] * shipped.spec.steps})


def logits(shipped: Checkpoint, modality: str, row: Any) -> Any:
    head = {"face": shipped.face, "voice": shipped.voice}[modality]
    found = head["head.weight"] @ row + head["head.bias"]
    return found - found.mean()


def test_a_share_of_what_is_said_beside_neutral_is_taken_off_within_a_limit(
    shipped: Checkpoint,
) -> None:
    seen = rows(shipped)
    found = user_baseline.measured(shipped, seen)
    off = user_baseline.offsets(shipped, found)
    for m in ("face", "voice"):
        bias = np.array(found.bias[m])
        assert bias[NEUTRAL] == 0.0
        assert 0 < np.abs(bias).max() <= user_baseline.LIMIT
        change = logits(shipped, m, seen[m][0]) - logits(shipped, m, seen[m][0] - off[m])
        assert np.allclose(change, bias - bias.mean(), atol=1e-3)
    some = window(shipped, seen)
    plain, moved = Predictor(shipped)([some])[0], Predictor(shipped, baseline=found)([some])[0]
    assert plain.probabilities != moved.probabilities
    nothing = replace(found, bias={})
    assert Predictor(shipped, baseline=nothing)([some])[0] == plain


def test_a_modality_with_few_steps_stays_and_with_neither_there_is_a_sentence(
    shipped: Checkpoint,
) -> None:
    seen = rows(shipped)
    seen["face"] = seen["face"][: user_baseline.FEWEST["face"] - 1]
    assert set(user_baseline.measured(shipped, seen).bias) == {"voice"}
    seen["voice"] = []
    with pytest.raises(UserError, match="face in 15 steps, voice in 0; 4 s of face or 2 s of"):
        user_baseline.measured(shipped, seen)


def test_the_file_is_private_whole_and_read_back(shipped: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "new" / "person.json"
    found = user_baseline.measured(shipped, rows(shipped))
    user_baseline.write(path, found)
    user_baseline.write(path, found)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["person.json"]
    assert user_baseline.read(path, shipped) == found
    assert set(json.loads(path.read_text())) == {"format", "model", "steps", "bias"}
    with pytest.raises(UserError, match="other weights"):
        user_baseline.read(path, replace(shipped, sha256="0" * 64))


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"bias": {"face": [0.1] * 6}},
        {"bias": {"face": [9.0] * 7}},
        {"bias": {"face": [float("nan")] * 7}},
        {"bias": {"text": [0.0] * 7}},
        {"bias": [1]},
        {"bias": {"face": ["x"] * 7}},
        {"more": 1},
        None,
    ],
)
def test_what_is_no_calibration_is_refused(
    shipped: Checkpoint, tmp_path: Path, change: dict[str, Any] | None
) -> None:
    path = tmp_path / "person.json"
    user_baseline.write(path, user_baseline.measured(shipped, rows(shipped)))
    content = json.loads(path.read_text())
    path.write_text("[" * 9000 if change is None else json.dumps({**content, **change}))
    with pytest.raises(UserError, match=r"is no calibration of this version"):
        user_baseline.read(path, shipped)


def test_a_clip_calibrates_and_live_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    path = tmp_path / "normtr" / "person.json"
    live = stream.SourceConfig(source=str(DEMO), fast=True, text="off", seconds=4)
    with pytest.raises(UserError, match="run `normtr calibrate` first"):
        next(stream.estimates(replace(live, calibrated=True)))
    assert calibrate.run(["--source", str(DEMO), "--fast"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "No picture and no sound is kept." in said
    assert "nothing leaves this machine" in said
    assert set(json.loads(path.read_text())["bias"]) == {"face", "voice"}
    first = path.read_bytes()
    with pytest.raises(UserError, match=r"person\.json is there already.*--force"):
        calibrate.run(["--source", str(DEMO), "--fast"])
    assert calibrate.run(["--source", str(DEMO), "--fast", "--force"]) == 0
    assert path.read_bytes() == first  # virtual time: always the same

    plain = list(stream.estimates(live))
    moved = list(stream.estimates(replace(live, calibrated=True)))
    assert [e.window.gaps for e in plain] == [e.window.gaps for e in moved]
    for a, b in zip(plain, moved, strict=True):  # rows stay pure
        assert all(np.array_equal(a.window.rows[m], b.window.rows[m]) for m in a.window.rows)
    assert plain[-1].prediction.probabilities != moved[-1].prediction.probabilities

    assert calibrate.run(["--delete"]) == 0
    assert not path.exists()


def test_with_nobody_to_measure_nothing_is_written(tmp_path: Path) -> None:
    empty = clips.write(tmp_path / "empty.mp4", seconds=1.0, sound=False)
    file = tmp_path / "person.json"
    status, said = refused("--source", empty, "--fast", "--personal", file, verb="calibrate")
    assert status == 1
    assert "too little was seen and heard" in said
    status, said = refused("--fast", "--camera", "5", "--personal", file, verb="calibrate")
    assert (status, "name yours with --source" in said) == (2, True)
    status, said = refused("--source", empty, "--seconds", "0", verb="calibrate")
    assert status == 2
    assert not file.exists()


def test_only_calibrations_are_deleted(tmp_path: Path) -> None:
    diary, person = tmp_path / "diary.json", tmp_path / "person.json"
    diary.write_text('{"monday": "rain"}')
    person.write_text('{"model": "of other weights", "bias": {}}')
    with pytest.raises(UserError, match=r"diary\.json is no calibration, so it stays"):
        calibrate.run(["--delete", "--personal", str(diary)])
    assert diary.exists()
    assert calibrate.run(["--delete", "--personal", str(person)]) == 0
    assert not person.exists()
    assert calibrate.run(["--delete", "--personal", str(person)]) == 0  # it was not there
