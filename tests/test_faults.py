"""Planned faults: what they do to the input, and how causes and drifts are judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from normtr.errors import UsageError
from stream.bench.endurance import Endurance, Series, wrong_causes
from stream.bench.faults import Fault, FaultPlan, Faulty, load
from stream.pipeline.outputs import Notice

pytestmark = pytest.mark.slow

PLAN = """
[[faults]]
kind = "stall"
what = "camera"
at_s = 2
for_s = 4

[[faults]]
kind = "mute"
at_s = 3.0
for_s = 3.0
"""


@pytest.fixture
def plan(tmp_path: Path) -> FaultPlan:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return load(path)


def test_a_plan_is_read(plan: FaultPlan) -> None:
    assert plan.faults == (
        Fault("stall", 2.0, 4.0, "camera"),
        Fault("mute", 3.0, 3.0),
    )
    assert plan.faults[1].modalities == ("voice", "text")
    assert [f.kind for f in plan.now("camera", 5.9)] == ["stall"]
    assert not list(plan.now("camera", 6.0))


def test_a_plan_can_begin_again(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("every_s = 10\n" + PLAN)
    plan = load(path).within(22.5)
    assert [fault.at_s for fault in plan.faults] == [2.0, 3.0, 12.0, 13.0, 22.0]
    assert [fault.kind for fault in plan.faults] == ["stall", "mute", "stall", "mute", "stall"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("faults = 3", "fault"),
        ("[[faults]]\nkind = 'stall'\nat_s = 1\nfor_s = 1", "what of stall is camera or micro"),
        ("[[faults]]\nkind = 'melt'\nat_s = 1\nfor_s = 1", "kind"),
        ("[[faults]]\nkind = 'mute'\nat_s = 1\nfor_s = 0", "for_s over 0"),
        ("[[faults]]\nkind = 'mute'\nat_s = 1\nfor_s = 1\nloud = 1", "loud"),
        (f"every_s = 5\n{PLAN}", "every_s is at least 6"),
        ("[[faults", "plan.toml"),
    ],
)
def test_a_bad_plan_is_refused_in_one_sentence(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(content)
    with pytest.raises(UsageError, match=said) as refused:
        load(path)
    assert "\n" not in str(refused.value)
    with pytest.raises(UsageError, match="No such file"):
        load(tmp_path / "nothing.toml")


class SourceSpec:
    """A receiver that keeps what comes in."""

    origin_ns = 1_000

    def __init__(self) -> None:
        self.pictures: list[tuple[int, float]] = []
        self.blocks: list[tuple[int, float, str]] = []
        self.told: list[tuple[str, str | None]] = []

    def picture(self, at_ns: int, image: Callable[[], NDArray[np.uint8]]) -> None:
        self.pictures.append((at_ns, float(image().std())))

    def sound(self, at_ns: int, samples: NDArray[np.float32], rate: int, cause: str) -> None:
        self.blocks.append((at_ns, float(np.abs(samples).max()), cause))

    def heard(self, at_ns: int, samples: NDArray[np.float32], rate: int, cause: str) -> None:
        self.sound(at_ns, samples, rate, cause)

    def condition(self, source: str, cause: str | None, at_ns: int, detail: str = "") -> None:
        self.told.append((source, cause))

    def end(self, source: str, at_ns: int, reason: str = "") -> None:
        self.told.append((source, "end"))


def played(*faults: Fault) -> SourceSpec:
    """Ten seconds, four pictures and blocks a second."""
    given = SourceSpec()
    faulty = Faulty(given, FaultPlan(faults))
    picture = np.random.default_rng(0).integers(0, 255, (4, 4, 3), np.uint8)
    for n in range(40):
        at_ns = given.origin_ns + n * 250_000_000
        faulty.picture(at_ns, lambda: picture)
        faulty.sound(at_ns, np.ones(4_000, np.float32), 16_000, "stalled")
    faulty.end("camera", given.origin_ns + 10_000_000_000)
    return given


def test_faults_befall_their_device_and_time_only() -> None:
    whole = played()
    assert (len(whole.pictures), len(whole.blocks)) == (40, 40)
    assert whole.told == [("camera", "end")]

    stalled = played(Fault("stall", 2.0, 1.0, "camera"))
    assert (len(stalled.pictures), len(stalled.blocks)) == (36, 40)

    lost = played(Fault("lose", 2.0, 1.0, "microphone"))
    assert (len(lost.pictures), len(lost.blocks)) == (40, 36)
    assert set(lost.told) == {("microphone", "no_device"), ("camera", "end")}

    covered = played(Fault("cover", 2.0, 1.0))
    assert [std == 0.0 for _, std in covered.pictures].count(True) == 4
    assert covered.blocks == whole.blocks

    muted = played(Fault("mute", 2.0, 1.0))
    assert [peak for _, peak, _ in muted.blocks].count(0.0) == 4

    overflowed = played(Fault("overflow", 2.0, 1.0))
    assert [cause for _, _, cause in overflowed.blocks].count("dropped") == 1
    assert len(overflowed.blocks) == 36


def test_causes_are_judged_by_plan_and_clip_but_for_edges(plan: FaultPlan) -> None:
    """A clip of 5 s whose face is away from 4 s on, played twice."""
    baseline = {"face": ["none"] * 16 + ["no_face"] * 4, "voice": ["none"] * 20}
    face = baseline["face"] * 2
    face[8:24] = ["stalled"] * 16  # 2 to 6 s
    voice = ["none"] * 12 + ["silence"] + ["muted"] * 11 + ["none"] * 16  # 3 to 6 s
    found = wrong_causes(plan, {"face": face, "voice": voice}, baseline, 5.0, 0.25)
    assert {m: of["wrong"] for m, of in found.items()} == {"face": 0, "voice": 0}
    assert found["face"]["judged"] == 40 - 2 * 2

    face[12] = "late"
    voice[30] = "stalled"
    voice[33] = "silence"
    found = wrong_causes(plan, {"face": face, "voice": voice}, baseline, 5.0, 0.25)
    assert {m: of["wrong"] for m, of in found.items()} == {"face": 1, "voice": 2}
    assert found["face"]["first"] == ["3 s: late, not stalled"]

    flood = FaultPlan((*plan.faults, Fault("flood", 1.0, 8.0)))
    found = wrong_causes(flood, {"face": face, "voice": voice}, baseline, 5.0, 0.25)
    assert {m: of["wrong"] for m, of in found.items()} == {"face": 0, "voice": 2}


def test_a_slope_is_found_with_its_interval() -> None:
    random = np.random.default_rng(0)
    series, flat = Series(), Series()
    for at_s in range(1_800):
        series.add(at_s, 170 + at_s / 3600 * 20 + random.normal())
        flat.add(at_s, 170 + random.normal())
    slope, none = series.slope(3600.0), flat.slope(3600.0)
    assert slope is not None
    assert none is not None
    assert slope["low"] < 20 < slope["high"]
    assert slope["mean"] == pytest.approx(20, abs=2)
    assert none["low"] < 0 < none["high"]
    assert series.where(lambda at_s: at_s >= 1_790).slope(3600.0) is None


def test_what_a_fault_costs_is_no_drift() -> None:
    flood = Fault("flood", at_s=900, for_s=100)
    endurance = Endurance(0)
    random = np.random.default_rng(0)
    for at_s in range(1_200):
        delay = 500 if 900 <= at_s < 1_004 else 20
        endurance.stages_ms["tick"].add(at_s, delay + random.normal())
    drifting, calm = endurance.drifts(), endurance.drifts([flood])
    assert drifting["delay_ms_an_hour"]["tick"]["low"] > 100
    assert abs(calm["delay_ms_an_hour"]["tick"]["mean"]) < 1


def test_reactions_are_counted_from_the_fault(plan: FaultPlan) -> None:
    endurance = Endurance(0)
    for at_ns, kind in ((3_200_000_000, "device_lost"), (6_300_000_000, "device_back")):
        endurance.add(at_ns, Notice(kind, at_ns, "face"))
    gaps = {"face": ["none"] * 8 + ["stalled"] * 18 + ["none"] * 4}
    assert endurance.reactions(plan, gaps, 0.25) == [
        {"fault": "stall camera at 2 s", "notify_s": pytest.approx(1.2), "valid_again_s": 0.75}
    ]
