"""`normtr live` as a user meets it: topics, endings, refusals."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgpack
import numpy as np
import psutil
import pytest
import zmq
from matplotlib.image import imread
from numpy.typing import NDArray

import stream
from stream.pipeline.outputs import HealthReport, Notice
from stream.pipeline.pipe_config import Costs
from stream.pipeline.transcriber import TranscriberConfig
from stream.pipeline.window_assembler import Estimate
from stream.session.session import DEMO, SourceConfig, open_session
from stream.wire import AFFECT, HEALTH, INFO, NOTIFY
from tests.support import clips
from tests.support.ports import free_port
from tests.support.program import refused, start

pytestmark = pytest.mark.slow

HEAVY = "torch|openvino|cv2|av|transformers|faster_whisper|lightning"
SUBSCRIBER = """
import sys, msgpack, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.connect(sys.argv[1])
socket.subscribe("er.v1.affect")
seq = None
for _ in range(int(sys.argv[2])):
    topic, payload = socket.recv_multipart()
    m = msgpack.unpackb(payload)
    assert abs(sum(m["probabilities"]) - 1) < 1e-6 and len(m["labels"]) == 7
    assert seq is None or m["seq"] == seq + 1
    seq = m["seq"]
print(m["top"], m["gaps"]["face"][-1])
"""


def told_first(*arguments: object, verb: str = "live") -> tuple[int, str]:
    """As `refused`, and fails where anything heavy was imported before the sentence."""
    words = [*verb.split(), *map(str, arguments)]
    command = [sys.executable, "-X", "importtime", "-m", "normtr", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert not re.search(rf"\| +({HEAVY})$", done.stderr, re.M)
    assert done.returncode != 0
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"normtr {words[0]}: ")
    return done.returncode, lines[0]


def test_an_independent_subscriber_gets_estimates_while_a_clip_plays(address: str) -> None:
    live = start("--source", DEMO, "--seconds", 6, "--bind", address)
    subscriber = subprocess.run(
        [sys.executable, "-c", SUBSCRIBER, address, "8"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    _, said = live.communicate(timeout=60)
    assert live.returncode == 0, said
    assert subscriber.returncode == 0, subscriber.stderr
    assert subscriber.stdout.split()[1] in ("none", "no_face")


def test_a_late_joiner_gets_info_again_and_the_end_is_announced(address: str) -> None:
    live = start("--source", DEMO, "--seconds", 5, "--text", "off", "--bind", address)
    got: dict[str, list[dict]] = {}  # type: ignore[type-arg]
    with zmq.Context() as context:
        for enough in (6, 1000):
            with context.socket(zmq.SUB) as socket:
                socket.connect(address)
                socket.subscribe("er.v1.")
                until = time.monotonic() + 60
                while time.monotonic() < until and live.poll() is None:
                    if socket.poll(100):
                        topic, payload = socket.recv_multipart()
                        got.setdefault(topic.decode(), []).append(msgpack.unpackb(payload))
                    if len(got.get(AFFECT, [])) == enough:
                        break
    assert live.wait(30) == 0
    infos = got[INFO]
    assert len(infos) >= 2
    assert infos[1]["seq"] > infos[0]["seq"]
    assert infos[0]["spec"]["step_ms"] == 250
    assert {"monotonic_ns", "utc_ns"} == set(infos[0]["clock"])
    assert got[HEALTH][0]["sources"]["camera"]["alive"]
    assert got[NOTIFY][-1]["kind"] == "stopping"


@pytest.mark.parametrize(
    ("stop", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 0)],
    ids=["ctrl-c", "terminate"],
)
def test_an_interrupt_ends_soon_and_keeps_the_recording(
    stop: signal.Signals, status: int, address: str, tmp_path: Path
) -> None:
    record = tmp_path / "session.jsonl"
    live = start("--source", DEMO, "--record", record, "--bind", address)
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.connect(address)
        socket.subscribe(AFFECT)
        if not socket.poll(60_000):
            live.send_signal(signal.SIGABRT)  # faulthandler tells where every thread stands
            pytest.fail(f"no estimate within a minute:\n{live.communicate(timeout=20)[1]}")
    family = [psutil.Process(live.pid), *psutil.Process(live.pid).children(recursive=True)]
    live.send_signal(stop)
    began = time.monotonic()
    live.communicate(timeout=20)
    assert live.returncode == status
    assert time.monotonic() - began < 10  # 2 s on a free machine
    assert not any(process.is_running() for process in family)
    assert AFFECT in record.read_text()
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(
    ("verb", "option"), [("live", "--bind"), ("live", "--control"), ("bench live", "--bind")]
)
def test_a_port_in_use_is_told_before_anything_is_loaded(
    verb: str, option: str, address: str
) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", int(address.rpartition(":")[2])))
        held.listen()
        other = () if option == "--bind" else ("--bind", free_port())
        status, said = told_first(option, address, *other, verb=verb)
    assert status == 1
    assert f"{address} is in use" in said
    assert f"another {option}." in said


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--bind", "tcp://127.0.0.1:99999"], 2, "with a port from 1 to 65535"),
        (["--bind", "foo"], 2, "'foo' is no address; give --bind tcp://HOST:PORT"),
        (["--control", "foo"], 2, "'foo' is no address; give --control tcp://HOST:PORT"),
        (["--bind", "tcp://0.0.0.0:5577"], 1, "can be reached from other machines"),
        (["--curve-keys", "/no/keys"], 1, "there are no keys in /no/keys"),
        (["--source", DEMO.parent], 1, f"{DEMO.parent} is a folder; give a clip in it."),
        (["--source", DEMO, "--source", "none.mp4"], 1, "there is no file 'none.mp4'."),
        (["--checkpoint", "/no/weights"], 1, "there is no folder '/no/weights'"),
        (["--timeline", "/proc/a.png"], 1, "cannot write /proc/a.png"),
        (["--record", "/no/folder/a.jsonl"], 1, "there is no folder /no/folder for a.jsonl"),
        (["--record-gaps", DEMO.parent], 1, "is a folder; give --record-gaps the name of a file."),
        (["--record", "/dev/null"], 1, "/dev/null is no file"),
        (["--seconds", "0"], 2, "--seconds must be above 0, not 0."),
        (["--seconds", "soon"], 2, "'seconds' must be a number, not soon."),
        (["--camera"], 2, "--camera needs a value."),
        (["--device", "gpu"], 2, "'device' must be auto, cpu or cuda, not gpu."),
        (["clip.mp4"], 2, "unexpected argument 'clip.mp4'"),
    ],
    ids=str,
)
def test_what_can_be_known_is_told_before_anything_is_loaded(
    arguments: list[object], status: int, says: str
) -> None:
    got, said = told_first(*arguments)
    assert says in said
    assert got == status


OUTPUTS = ("--record", "--record-gaps", "--timeline")


@pytest.mark.parametrize("option", OUTPUTS)
def test_what_is_there_is_replaced_only_by_force(option: str, tmp_path: Path) -> None:
    file = tmp_path / "an hour"
    file.write_text("precious")
    words = ("--source", DEMO, "--fast", "--seconds", 1, "--text", "off", option, file)
    status, said = told_first(*words)
    assert status == 1
    assert f"{file} is there already" in said
    assert "--force" in said
    assert file.read_text() == "precious"
    live = start(*words, "--force")
    _, error = live.communicate(timeout=60)
    assert live.returncode == 0, error
    assert b"precious" not in file.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["an hour"]


def test_what_a_killed_run_left_is_not_overwritten(tmp_path: Path) -> None:
    left = tmp_path / "a.jsonl.partial"
    left.write_text("an hour\n")
    status, said = told_first("--source", DEMO, "--record", tmp_path / "a.jsonl")
    assert status == 1
    assert f"{left} is there already, left by a run that was killed" in said
    assert left.read_text() == "an hour\n"
    assert list(tmp_path.iterdir()) == [left]


@pytest.mark.parametrize("second", ["a", "a.partial", "../here/a"])
def test_two_outputs_are_two_files(second: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    status, said = told_first("--record", folder / "a", "--timeline", folder / second)
    assert status == 2
    assert "--record and --timeline would write the same file" in said
    assert not list(folder.iterdir())


def test_a_bench_replaces_nothing_either(tmp_path: Path) -> None:
    for option in ("--record-gaps", "--timeline"):
        file = tmp_path / option
        file.write_text("precious")
        status, said = told_first(option, file, verb="bench live")
        assert (status, file.read_text()) == (1, "precious")
        assert "is there already" in said


def drawn(folder: Path, *options: str) -> NDArray[np.float32]:
    """The timeline of the demo clip's first seconds, [height, width, colours]."""
    path = folder / "timeline.png"
    words = ("--source", DEMO, "--fast", "--seconds", 8, "--timeline", path, *options)
    live = start(*words)
    _, error = live.communicate(timeout=120)
    assert live.returncode == 0, error
    picture: NDArray[np.float32] = imread(path)
    path.unlink()
    return picture


def test_words_are_drawn_only_where_they_were_asked_for(tmp_path: Path) -> None:
    with_words, without = drawn(tmp_path, "--words"), drawn(tmp_path)
    said = (with_words != without).any(2)
    assert said.any()
    assert (without[said] == 1).all()  # white, where the words are


def test_what_is_loaded_is_said_at_once_and_beside_the_results(tmp_path: Path) -> None:
    words = ["live", "--source", str(DEMO), "--fast", "--seconds", "1", "--text", "off"]
    command = [sys.executable, "-X", "importtime", "-m", "normtr", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    (heavy,) = (n for n, line in enumerate(lines) if re.search(r"\| +openvino$", line))
    said = [(n, line) for n, line in enumerate(lines) if not line.startswith("import time:")]
    assert [line.partition(" (")[0] for _, line in said] == [
        "Loading the recognizer: its libraries",
        "Loading the recognizer: its networks",
        "Playing demo.mp4, in virtual time",
    ]
    assert said[0][0] < heavy < said[1][0]
    assert "Loading" not in done.stdout


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        ("bench live --json --bind ADDRESS", "Loading the recognizer"),
        ("bench wire --json --bind ADDRESS", "Publishing for 30 s"),
        ("bench model --json", "Loading libraries"),
        ("doctor --json", "Looking at models and devices"),
        ("extract --media . --labels none.csv --out none", "Loading libraries"),
        (f"calibrate --source {DEMO} --fast --personal none.json", "Loading the recognizer"),
    ],
)
def test_every_long_start_says_what_it_does(
    verb: str, says: str, tmp_path: Path, address: str
) -> None:
    words = verb.replace("ADDRESS", address).split()
    command = [sys.executable, "-X", "importtime", "-m", "normtr", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert process.stderr is not None
    imported = ""
    for line in process.stderr:
        if not line.startswith("import time:"):
            break
        imported += line
    process.kill()
    shown, _ = process.communicate()
    assert line.startswith(says)
    assert not re.search(rf"\| +({HEAVY})$", imported, re.M)
    assert not shown


def test_usage_errors_end_with_2_and_name_the_nearest_key(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text("secnds = 3\n")
    status, said = refused("--config", config)
    assert status == 2
    assert "secnds" in said
    assert "seconds" in said


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("empty.mp4", b""),
        ("text.mp4", b"hello\n"),
        ("noise.mp4", bytes(range(256)) * 200),
        ("none.mp4", None),
    ],
)
def test_a_source_that_is_no_clip_is_named(tmp_path: Path, name: str, data: bytes | None) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    status, said = refused("--source", path, "--fast")
    assert status == 1
    assert name in said


def test_a_checkpoint_that_does_not_fit_is_named(tmp_path: Path) -> None:
    status, said = refused("--source", DEMO, "--checkpoint", tmp_path / "nothing")
    assert status == 1
    assert "nothing" in said


@pytest.mark.parametrize(
    ("option", "value", "status", "says"),
    [
        ("--transcriber.language", "de", 1, "--text off"),
        ("--transcriber.model", "/no/such/folder", 1, "/no/such/folder"),
        ("--transcriber.interval_ms", "0", 2, "interval_ms"),
        ("--transcriber.vad_threshold", "7", 2, "vad_threshold"),
    ],
)
def test_words_that_cannot_be_had_are_refused_before_anything_runs(
    option: str, value: str, status: int, says: str
) -> None:
    got, said = refused("--source", DEMO, option, value)
    assert got == status
    assert says in said


def test_a_latency_that_no_device_has_is_refused() -> None:
    status, said = refused("--source", DEMO, "--microphone-latency-ms", "-5")
    assert status == 2
    assert "--microphone-latency-ms lies between 0 and 1000, not -5." in said


def test_unwritable_outputs_are_refused_before_anything_runs(tmp_path: Path) -> None:
    status, said = refused("--source", DEMO, "--fast", "--record", tmp_path / "no" / "a.jsonl")
    assert status == 1
    assert "no" in said


def test_a_transcriber_that_cannot_keep_up_skips_sound_and_says_so() -> None:
    """Virtual time, a pass over 1 s takes 1.5 s: a third is not listened to; nothing is measured."""
    config = SourceConfig(
        source=str(DEMO),
        fast=True,
        face="off",
        seconds=8.0,
        costs=Costs(transcribe=1500),
        transcriber=TranscriberConfig(max_passage_s=1.0),
    )
    outputs = [output for _, output in open_session(config).stream]
    notices = [output for output in outputs if isinstance(output, Notice)]
    assert len(notices) >= 4
    assert {(n.kind, n.modality) for n in notices} == {("late_words", "text")}
    assert notices[1].detail == "0.5 s of sound were skipped to keep up"
    estimates = [output for output in outputs if isinstance(output, Estimate)]
    assert any("dropped" in estimate.window.gaps["text"] for estimate in estimates)
    assert not any("dropped" in estimate.window.gaps["voice"] for estimate in estimates)
    assert {output.level for output in outputs if isinstance(output, HealthReport)} == {0}


def test_without_words_their_cause_is_off() -> None:
    config = SourceConfig(source=str(DEMO), fast=True, face="off", text="off", seconds=1.0)
    causes = [estimate.window.gaps["text"] for estimate in stream.estimates(config)]
    assert {cause for gaps in causes for cause in gaps} == {"off"}


def run_gaps(source: Path) -> dict[str, list[str]]:
    """The closing causes of a clip, by the in-process pipe in virtual time."""
    config = stream.SourceConfig(source=str(source), fast=True, text="off")
    gaps: dict[str, list[str]] = {"face": [], "voice": []}
    for estimate in stream.estimates(config):
        for modality, causes in gaps.items():
            causes.append(estimate.window.gaps[modality][-1])
    return gaps


def test_a_clip_without_sound_or_without_picture_runs_with_the_right_causes(
    tmp_path: Path,
) -> None:
    silent = run_gaps(clips.write(tmp_path / "silent.mp4", seconds=1.0, sound=False))
    assert set(silent["voice"]) == {"no_track"}
    assert set(silent["face"]) == {"no_face"}
    blind = run_gaps(clips.write(tmp_path / "blind.mp4", seconds=1.0, picture=False))
    assert set(blind["face"]) == {"no_track"}
    assert set(blind["voice"]) == {"none"}


def test_sound_that_starts_later_is_stalled_until_then(tmp_path: Path) -> None:
    late = clips.write(tmp_path / "late.mp4", seconds=2.0, sound_from_s=1.0)
    gaps = run_gaps(late)["voice"]
    assert gaps[:4] == ["stalled"] * 4
    assert gaps[5:8] == ["none"] * 3


@pytest.mark.parametrize("size", [(16, 16), (3840, 2160)], ids=["16x16", "4K"])
def test_tiny_and_huge_pictures_run(tmp_path: Path, size: tuple[int, int]) -> None:
    gaps = run_gaps(clips.write(tmp_path / "size.mp4", seconds=0.5, size=size))
    assert set(gaps["face"]) <= {"no_face", "poor_image"}


def test_sound_that_starts_late_after_many_steps_is_stalled_in_each_of_them(
    tmp_path: Path,
) -> None:
    late = clips.write(tmp_path / "later.mp4", seconds=3.5, sound_from_s=2.5)
    assert run_gaps(late)["voice"][:10] == ["stalled"] * 10
