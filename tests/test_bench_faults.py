"""The fault bench, on the real pipe in real time: faults are told by their causes, and survived."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from normtr import gap_trace
from stream.bench.faults import load

pytestmark = pytest.mark.slow

PLANS = Path(__file__).parents[1] / "configs" / "faults"
PLAN = """
faults = [
  {kind = "deaf", at_s = 0, for_s = 24},
  {kind = "stall", what = "camera", at_s = 8, for_s = 3},
  {kind = "lose", what = "microphone", at_s = 8.5, for_s = 2},
  {kind = "kill", what = "voice", at_s = 3, for_s = 2},
  {kind = "cover", at_s = 13, for_s = 2},
]
"""
OF_A_BUSY_MACHINE = ("late", "dropped", "error")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("faults")
    plan = folder / "plan.toml"
    plan.write_text(PLAN)
    command = [sys.executable, "-m", "normtr", "bench", "live", "--seconds", "24", "--json"]
    command += ["--faults", str(plan), "--timeline", str(folder / "picture.png")]
    command += ["--bind", f"ipc://{folder}/topics", "--record-gaps", str(folder / "gaps.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / "picture.png").read_bytes()[1:4] == b"PNG"
    (stream,) = gap_trace.read(folder / "gaps.jsonl")
    assert {"error", "stalled", "no_device", "no_face"} <= {
        c for step in stream for c in step.values()
    }
    return {"folder": str(folder), **json.loads(done.stdout)}


def test_causes_are_those_of_the_plan(report: dict[str, Any]) -> None:
    """Another load may cost rows or slow the restart, but no other cause is ever told."""
    for modality, found in report["wrong_causes"].items():
        assert found["judged"] > 60, modality
        others = [
            w for w in found["first"] if w.split(": ")[1].split(",")[0] not in OF_A_BUSY_MACHINE
        ]
        assert not others


def test_lost_devices_are_told_and_come_back(report: dict[str, Any]) -> None:
    camera, microphone = report["reactions"]
    for reaction in (camera, microphone):
        assert reaction["notify_s"] is not None
        assert reaction["valid_again_s"] is not None
    assert camera["notify_s"] >= 1.0  # nothing comes for so long before it counts as stalled


def test_the_killed_worker_is_replaced_and_estimates_go_on(report: dict[str, Any]) -> None:
    assert report["restarts"]["voice"] >= 1
    assert report["ticks_published"] >= 0.8 * report["ticks_expected"]


def test_no_foreign_process_is_left(report: dict[str, Any]) -> None:
    left = [
        p for p in psutil.process_iter(["cmdline"]) if report["folder"] in str(p.info["cmdline"])
    ]
    assert not left


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.toml")), ids=lambda path: path.stem)
def test_a_shipped_plan_is_one(path: Path) -> None:
    kinds = {fault.kind for fault in load(path).faults}
    assert kinds == {"cover", "mute", "stall", "lose", "overflow", "kill", "flood", "deaf"}
