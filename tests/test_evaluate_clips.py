"""`normtr evaluate --part clips`: real media files through the whole recognizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from normtr import cli
from normtr.shipped import SHIPPED
from normtr.spec import LABELS
from tests.support import clips
from training.evaluation.part_scores import among
from training.recognizer.clip_orders import NEUTRAL, Order, shown

pytestmark = pytest.mark.slow


def evaluated(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, object]:
    assert cli.run(["evaluate", "--part", "clips", *argv, "--json"]) == 0
    report: dict[str, object] = json.loads(capsys.readouterr().out)
    return report


def test_only_classes_that_occur_are_answers() -> None:
    said = np.log(np.array([[0.5, 0.1, 0.1, 0.2, 0.05, 0.03, 0.02]] * 2))
    found = among(said, np.array([3, 1]))
    assert found[:, [1, 3]] == pytest.approx(np.array([[1 / 3, 2 / 3]] * 2))
    assert found.sum(1) == pytest.approx([1, 1])


def test_clips_are_judged_whole_by_modality_and_by_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Emotion and person are told by the names, or by a table; both give the same figures."""
    shown = {"01-01-03_01": ("happy", "01"), "01-02-01_01": ("neutral", "01")}
    shown["02-01-03_01"] = ("happy", "02")
    for name in shown:
        clips.write(tmp_path / f"{name}.mp4", seconds=1.2, size=(320, 240), draw=clips.face)
    named = evaluated(capsys, "--data", str(tmp_path))
    assert named["n"] == 3
    assert set(named["per_class"]) == {"happy", "neutral"}  # type: ignore[call-overload]
    people: dict[str, dict[str, float]] = named["by_person"]  # type: ignore[assignment]
    assert {person: found["n"] for person, found in people.items()} == {"01": 2, "02": 1}
    modalities: dict[str, dict[str, float]] = named["modalities"]  # type: ignore[assignment]
    assert set(modalities) == {"face", "voice", "text"}
    # The same picture and sound in each: the answers are one label.
    assert named["accuracy"] in (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert named["uar"] == pytest.approx(0.5)
    for i, name in enumerate(shown):
        (tmp_path / f"{name}.mp4").rename(tmp_path / f"{i}.mp4")
    lines = [f"{i}.mp4,{label},{person}" for i, (label, person) in enumerate(shown.values())]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["clip,label,person", *lines]))
    assert evaluated(capsys, "--data", str(tmp_path), "--labels", str(table)) == named


def test_each_clip_is_judged_once_in_every_order() -> None:
    labels = np.repeat([0, 3, NEUTRAL], 4)
    for order in Order:
        seen = list(shown(order, labels, np.random.default_rng(1)))
        assert sorted(i for i, judged in seen if judged) == list(range(12))
        again = list(shown(order, labels, np.random.default_rng(1)))
        assert again == seen
        if order in (Order.ALONE, Order.RANDOM):
            assert len(seen) == 12
    often = [
        labels[i] == NEUTRAL for i, _ in shown(Order.EVERYDAY, labels, np.random.default_rng(1))
    ]
    assert np.mean(often) == pytest.approx(0.6, abs=0.05)
    moods = [labels[i] for i, _ in shown(Order.MOODS, labels, np.random.default_rng(1))]
    assert len(moods) == 12 * 8
    assert np.count_nonzero(np.diff(moods)) == 2  # one mood after the other


def test_a_baseline_follows_each_person_from_clip_to_clip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("01-01-03_01", "01-02-01_01"):
        clips.write(folder / f"{name}.mp4", seconds=1.2, size=(320, 240), draw=clips.face)
    argv = ["--data", str(folder), "--order", "everyday"]
    shutil.copytree(SHIPPED, tmp_path / "weights")
    manifest = tmp_path / "weights/manifest.json"
    whole = json.loads(manifest.read_text()) | {"crowd": {}}
    manifest.write_text(json.dumps(whole))
    of = ["--checkpoint", str(tmp_path / "weights")]
    assert cli.run(["evaluate", "--part", "clips", *argv, *of]) == 1
    assert "no running baseline; give --order alone" in capsys.readouterr().err
    whole["crowd"] = {"face": {"mean": [[1.0] * 3 + [-0.75] * 4] * 7}}
    manifest.write_text(json.dumps(whole))
    alone = evaluated(capsys, *argv[:2], *of)
    followed = evaluated(capsys, *argv, *of)
    assert (alone["order"], followed["order"]) == ("alone", "everyday")
    assert followed["modalities"]["face"]["ece"] != alone["modalities"]["face"]["ece"]  # type: ignore[index]
    assert followed["modalities"]["text"] == alone["modalities"]["text"]  # type: ignore[index]


def test_what_is_wrong_with_clips_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "labels.csv"
    (tmp_path / "holiday.mp4").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut/01-01-01_01.mp4").write_bytes(b"no video")

    def said(folder: Path, *argv: str) -> str:
        assert cli.run(["evaluate", "--part", "clips", "--data", str(folder), *argv]) == 1
        told = capsys.readouterr().err
        assert "Traceback" not in told
        return told.splitlines()[-1]

    assert "holiday.mp4 tells no label; give a CSV" in said(tmp_path)
    assert "has no clips (.mp4" in said(tmp_path / "empty")
    assert "there is no folder" in said(tmp_path / "nowhere")
    assert "01-01-01_01.mp4 cannot be used" in said(tmp_path / "cut")
    for line, why in (
        ("holiday.mp4,hapy,me", "is none of " + ", ".join(LABELS) + "; the nearest is happy."),
        ("holiday.mp4,happy,", "clip, label or person is missing"),
        ("gone.mp4,happy,me", "there is no file"),
    ):
        table.write_text(f"clip,label,person\n{line}\n")
        found = said(tmp_path, "--labels", str(table))
        assert "line 2" in found
        assert why in found
