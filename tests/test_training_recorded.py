"""The record beside the weights: equal, near enough, or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.recognizer.recorded import main

pytestmark = pytest.mark.slow


def record(folder: Path, digest: str, accuracy: float) -> Path:
    folder.mkdir()
    metrics = {
        "face": {"accuracy": accuracy},
        "voice": {"ravdess": {"uar": 0.5}},
        "text": {"weighted_f1": 0.5},
        "fusion": {"accuracy_by_rate": {"NORM-TR": {"0.0": 0.6, "0.5": 0.5}}},
    }
    content = {"sha256": {"a": digest}, "metrics": metrics}
    (folder / "recorded.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("digest", "accuracy", "status", "said"),
    [
        ("x", 0.60, 0, "all hashes are the recorded ones"),
        ("y", 0.605, 0, "the weights agree"),
        ("y", 0.57, 1, "more than a point apart"),
        ("y", float("nan"), 1, "DO NOT AGREE"),
    ],
)
def test_comparison(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    digest: str,
    accuracy: float,
    status: int,
    said: str,
) -> None:
    new = record(tmp_path / "new", digest, accuracy)
    shipped = record(tmp_path / "shipped", "x", 0.60)
    assert main([str(new), str(shipped)]) == status
    assert said in capsys.readouterr().out


def test_wrong_use(tmp_path: Path) -> None:
    assert main([]) == 2
    assert main([str(tmp_path), str(tmp_path)]) == 1
