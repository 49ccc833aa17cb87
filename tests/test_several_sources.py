"""Several sources in one program: one grid, one forward, told apart by name, none ends another."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream
from normtr.config import parse
from normtr.errors import UsageError, UserError
from stream.commands.live import Live
from stream.pipeline.models import Models
from stream.pipeline.pipe_config import PipeConfig
from stream.publish import recording
from stream.session.session import DEMO, unlike
from stream.wire import AFFECT, HEALTH, INFO, NOTIFY, TEXT, schema
from tests.support import clips
from tests.support.program import refused
from tests.support.regression import second

pytestmark = pytest.mark.slow

SECONDS = 9


def normtr(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "normtr", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def undecodable(path: Path) -> Path:
    """A clip that can be opened, but of its pictures nothing is left."""
    whole = clips.write(path, sound=False).read_bytes()
    begin = whole.index(b"mdat") + 4
    path.write_bytes(
        whole[:begin] + bytes(whole.index(b"moov") - 4 - begin) + whole[whole.index(b"moov") - 4 :]
    )
    return path


class Told:
    """A recording of the demo clip twice beside a short clip and one that breaks."""

    def __init__(self, path: Path) -> None:
        self.messages = list(recording.read(path))
        self.by_source: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for message in self.messages:
            self.by_source[message.payload["source"]][message.topic].append(message.payload)

    def kinds(self, source: str) -> list[str]:
        return [notice["kind"] for notice in self.by_source[source][NOTIFY]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Told, str]:
    folder = tmp_path_factory.mktemp("several")
    short = clips.write(folder / "short.mp4", seconds=2.0)
    broken = undecodable(folder / "broken.mp4")
    record = folder / "all.jsonl"
    sources = [word for path in (DEMO, short, broken, DEMO) for word in ("--source", path)]
    options = ["--seconds", SECONDS, "--words", "--record", record, "--bind", f"ipc://{folder}/t"]
    done = normtr("live", *sources, *options)
    assert done.returncode == 0, done.stderr
    return Told(record), done.stdout


ALL = ("demo.mp4", "short.mp4", "broken.mp4", "demo.mp4#2")


def test_every_message_bears_its_source_and_follows_the_schema(run: tuple[Told, str]) -> None:
    told, _ = run
    for message in told.messages:
        jsonschema.validate(message.payload, schema(message.topic))
    (info,) = told.by_source[", ".join(ALL)][INFO]
    assert info["sources"] == list(ALL)
    assert set(told.by_source) == {*ALL, info["source"]}
    for topic in (AFFECT, HEALTH, NOTIFY, TEXT):
        seqs = [m.payload["seq"] for m in told.messages if m.topic == topic]
        assert seqs == list(range(len(seqs)))


def test_all_sources_are_judged_on_one_grid_until_each_ends(run: tuple[Told, str]) -> None:
    told, _ = run
    ends = {name: [a["t_ns"] for a in told.by_source[name][AFFECT]] for name in ALL}
    assert ends["demo.mp4"] == ends["demo.mp4#2"]
    assert ends["short.mp4"] == ends["demo.mp4"][: len(ends["short.mp4"])]
    assert len(ends["demo.mp4"]) >= 0.8 * SECONDS * 4
    assert 6 <= len(ends["short.mp4"]) <= 8
    assert len(ends["broken.mp4"]) <= 1


def test_each_sees_its_own(run: tuple[Told, str]) -> None:
    told, _ = run
    for name in ("demo.mp4", "demo.mp4#2"):
        seen = {a["gaps"]["face"][-1] for a in told.by_source[name][AFFECT]}
        assert "none" in seen
        assert told.by_source[name][TEXT], "no words"
    short = told.by_source["short.mp4"]
    assert {a["gaps"]["face"][-1] for a in short[AFFECT]} <= {"no_face", "late", "dropped"}
    assert not short[TEXT]


def test_one_that_ends_or_breaks_is_told_and_ends_no_other(run: tuple[Told, str]) -> None:
    told, _ = run
    ends = [n for n in told.by_source["short.mp4"][NOTIFY] if n["kind"] == "source_ended"]
    assert [end["detail"] for end in ends] == [""]
    after = told.kinds("short.mp4").index("source_ended") + 1
    assert set(told.kinds("short.mp4")[after:]) <= {"late_words"}  # given up, on a busy machine
    # Without sound there are no last words to wait for.
    assert told.kinds("broken.mp4")[-1] == "source_ended"
    why = told.by_source["broken.mp4"][NOTIFY][-1]["detail"]
    assert why == "broken.mp4 holds nothing that can be decoded."
    assert told.kinds(", ".join(ALL)) == ["stopping"]


def test_the_summary_is_by_source(run: tuple[Told, str]) -> None:
    _, shown = run
    places = [shown.index(f" {name} ") for name in ALL]
    assert places == sorted(places)
    assert shown.count("What was there") >= 3


def test_where_all_break_it_is_an_error(tmp_path: Path) -> None:
    one, two = undecodable(tmp_path / "one.mp4"), undecodable(tmp_path / "two.mp4")
    config = stream.SourceConfig(source=(str(one), str(two)), text="off")
    with pytest.raises(UserError, match=r"one.mp4 holds nothing"):
        list(stream.estimates(config))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--fast"], "--fast plays one clip"),
        (["--calibrated"], "--calibrated knows one person"),
        (["--timeline", "t.png"], "--timeline is of one source"),
        (["--record-gaps", "g.jsonl"], "--record-gaps is of one source"),
    ],
)
def test_what_has_no_meaning_for_several_is_refused(options: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse(Live, ["--source", "a.mp4", "--source", "b.mp4", *options], "live")


def test_a_calibration_of_several_is_refused() -> None:
    status, said = refused("--source", DEMO, "--source", DEMO, verb="calibrate")
    assert status == 2
    assert "one person" in said


def test_one_that_cannot_be_opened_is_refused_before_anything_runs() -> None:
    status, said = refused("--source", DEMO, "--source", "/no/such.mp4")
    assert status == 1
    assert "/no/such.mp4" in said


def test_the_bench_counts_each_source(tmp_path: Path) -> None:
    sources = ("--source", DEMO, "--source", DEMO, "--text", "off")
    bind = f"ipc://{tmp_path}/t"
    done = normtr("bench", "live", *sources, "--seconds", 3, "--json", "--bind", bind)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report["sources"]) == {"demo.mp4", "demo.mp4#2"}
    for figures in report["sources"].values():
        assert figures["ticks_expected"] == 12
        assert figures["ticks_published"] >= 9


@given(st.lists(st.sampled_from(["a", "a#2", "b", "b#2", "a#3"]), max_size=8))
def test_names_are_made_unlike_and_the_first_stay(names: list[str]) -> None:
    out = unlike(names)
    assert len(set(out)) == len(names)
    assert all(
        new == name or new.startswith(f"{name}#") for new, name in zip(out, names, strict=True)
    )
    assert len(set(names)) < len(names) or out == names


def test_models_that_sources_share_say_the_same_from_all_threads() -> None:
    first = Models(PipeConfig(text="off"), sources=4)
    own = [first, *(first.another() for _ in range(3))]
    pictures = [clips.face((320 + 64 * n, 240), 0.0) for n in range(4)]
    alone = [
        (m.face(p), m.voice(second(n))) for n, (m, p) in enumerate(zip(own, pictures, strict=True))
    ]

    def again(n: int) -> bool:
        same = True
        for _ in range(12):
            face, voice = own[n].face(pictures[n]), own[n].voice(second(n))
            same &= np.array_equal(face.vector, alone[n][0].vector)  # type: ignore[arg-type]
            same &= np.array_equal(voice.vector, alone[n][1].vector)  # type: ignore[arg-type]
        return same

    assert all(found.vector is not None for pair in alone for found in pair)
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(again, range(4)))
