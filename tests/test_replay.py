"""`normtr replay`: a recording comes onto the wire again, or is refused in one sentence."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normtr.errors import UserError
from stream.client import subscribe
from stream.commands import replay
from stream.publish import recording
from stream.publish.publisher import Publisher
from stream.wire import AFFECT, FRAME, INFO, NOTIFY, TEXT, Message
from tests.support import program
from tests.support.messages import SAID, plain, session, write
from tests.support.ports import free_port
from tests.support.program import refused

pytestmark = pytest.mark.slow

start = partial(program.start, verb="replay")


@pytest.fixture
def player(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_a_session_comes_again_with_its_timing_marked_as_a_replay(
    tmp_path: Path, player: list[subprocess.Popen[str]]
) -> None:
    said = session(20)
    path, address = write(tmp_path / "a.jsonl", said), free_port()
    with subscribe(address=address) as subscription:
        player.append(start(path, "--bind", address))
        got, at_s = [], []
        while not got or got[-1].topic != NOTIFY:
            got.append(subscription.receive(30))
            at_s.append(time.monotonic())
    assert player[0].wait(10) == 0
    assert player[0].stderr is not None
    assert "22 messages in 6.0 s" in player[0].stderr.read()
    assert all(message.replay for message in got)
    first = {AFFECT: 0, INFO: 0, NOTIFY: said[-1].payload["seq"]}
    assert [plain(message.payload) for message in got] == [
        {**message.payload, "replay": True, "first_seq": first[message.topic]} for message in said
    ]
    assert subscription.lost == 0
    recorded_s = (got[-1].sent_ns - got[-11].sent_ns) / 1e9
    assert at_s[-1] - at_s[-11] == pytest.approx(recorded_s, abs=0.5)


def test_who_comes_late_gets_info_and_ctrl_c_ends_it(
    tmp_path: Path, player: list[subprocess.Popen[str]]
) -> None:
    path, address = write(tmp_path / "a.jsonl", session(400)), free_port()
    player.append(start(path, "--bind", address, "--speed", "2"))
    with subscribe(AFFECT, address=address) as early:
        first = [early.receive(30).seq for _ in range(3)]
        assert first == list(range(first[0], first[0] + 3))
    with subscribe(INFO, address=address) as late:
        assert late.receive(10).payload["virtual"] is True
    player[0].send_signal(signal.SIGINT)
    assert player[0].wait(10) == 130
    assert "Traceback" not in player[0].communicate()[1]


def test_who_was_waiting_has_every_message_also_at_high_speed(
    tmp_path: Path, player: list[subprocess.Popen[str]]
) -> None:
    path, address = write(tmp_path / "a.jsonl", session(2000)), free_port()
    table, lines = tmp_path / "a.csv", tmp_path / "lines"
    watch = [sys.executable, "-m", "normtr", "watch", "--address", address]
    for options in (["--csv", str(table)], ["--json"]):
        with lines.open("w") as out:
            player.append(
                subprocess.Popen([*watch, *options], stdout=out, stderr=subprocess.PIPE, text=True)
            )
    readers = list(player)
    for reader in readers:
        assert reader.stderr is not None
        assert "nothing arrives" in reader.stderr.readline()  # it is there and waits
    player.append(start(path, "--bind", address, "--speed", "1000"))
    assert player[-1].wait(100) == 0
    end_s = time.monotonic() + 60
    for file, rows in ((table, 2001), (lines, 2002)):
        while len(file.read_text().splitlines()) < rows:
            assert time.monotonic() < end_s, file
            time.sleep(0.1)
    for reader in readers:
        reader.terminate()
        _, said = reader.communicate(timeout=30)
        assert (reader.returncode, said) == (0, "")


def test_without_a_subscriber_it_plays_after_a_while_and_says_so(
    tmp_path: Path, player: list[subprocess.Popen[str]]
) -> None:
    path = write(tmp_path / "a.jsonl", session(2))
    player.append(start(path, "--bind", free_port(), "--speed", "1e3", "--wait", "0.3"))
    _, said = player[0].communicate(timeout=60)
    assert player[0].returncode == 0
    assert "Nobody subscribed within 0.3 s" in said


def test_a_half_last_line_is_told_and_left_out(
    tmp_path: Path, player: list[subprocess.Popen[str]]
) -> None:
    path = write(tmp_path / "a.jsonl", session(2))
    path.write_bytes(path.read_bytes()[:-40])
    player.append(start(path, "--bind", free_port(), "--speed", "1e3"))
    _, said = player[0].communicate(timeout=60)
    assert player[0].returncode == 0
    assert said.startswith("The recording's last line is not whole; left out.\n3 messages in")


HOSTILE = {
    "nothing": b"",
    "half a line": b'{"topic": "er.v1.affect"',
    "no JSON": b"hello\n",
    "no map": b"[]\n",
    "another topic": b'{"topic": "er.v2.x", "payload": {}}\n',
    "no envelope": b'{"topic": "er.v1.notify", "payload": {}}\n',
    "huge number": json.dumps(
        {"topic": NOTIFY, "payload": {**SAID[NOTIFY].payload, "sent_ns": 2**80}}
    ).encode()
    + b"\n",
    "half a surrogate": json.dumps(
        {"topic": NOTIFY, "payload": {**SAID[NOTIFY].payload, "detail": "\ud800"}}
    ).encode()
    + b"\n",
    "nested": b"[" * 200_000 + b"\n",
    "nested payload": b'{"topic": "er.v1.x", "payload": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}\n",
    "too long": b" " * (recording.MAX_LINE + 10) + b"\n",
    "too large for the wire": recording.line(
        Message(NOTIFY, {**SAID[NOTIFY].payload, "detail": "x" * 1_000_001})
    ).encode(),
    "bytes": bytes(range(256)) * 10 + b"\n",
    "wrong base64": b'{"topic": "er.v1.x", "payload": {"a": {"base64": "x"}}}\n',
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_is_no_recording_is_one_sentence(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.jsonl[^\n]*\.$"):
        replay.run([str(path), "--bind", free_port()])


def test_refusals_of_the_program(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", session(1))
    with path.open("a") as file:
        file.write("{}\n")
    assert refused(path, "--bind", free_port(), verb="replay") == (
        1,
        f"normtr replay: line 4 of the recording {path} is damaged.",
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--speed", "0"], "--speed lies above 0"),
        (["--speed", "-1"], "--speed lies above 0"),
        (["--wait", "-1"], "--wait is 0 or more seconds"),
        (["--bind", "tcp://0.0.0.0:5599"], "CURVE"),
    ],
)
def test_options_that_cannot_be(options: list[str], says: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", session(1))
    with pytest.raises(UserError, match=says):
        replay.run([str(path), *options])


def test_a_busy_port_is_one_sentence_before_anything_is_read(tmp_path: Path) -> None:
    path, address = tmp_path / "a.jsonl", free_port()
    path.write_text("no recording\n")
    with pytest.raises(UserError, match="is in use"), closing(Publisher(address)):
        replay.run([str(path), "--bind", address])


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_like, max_size=4))
def test_what_is_recorded_is_read_again_bytes_too(
    tmp_path_factory: pytest.TempPathFactory, payload: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("recording") / "a.jsonl"
    said = [Message(TEXT, {**payload, "jpeg": b"\xff\xd8\x00"})] * 2
    assert list(recording.read(write(path, said))) == said


def test_pictures_of_people_are_not_recorded(tmp_path: Path) -> None:
    said = [Message(FRAME, {"jpeg": b"\xff"}), Message(TEXT, {"word": "hello"})]
    assert list(recording.read(write(tmp_path / "a.jsonl", said))) == said[1:]
