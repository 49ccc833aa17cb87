"""The control port: every verb on a running session, and hostile requests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import msgpack
import psutil
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from normtr.errors import UserError
from stream.client import control_client, subscribe
from stream.client.control_client import beside
from stream.publish.control import LARGEST_READ, ControlServer
from stream.publish.control_handlers import LONGEST_LABEL
from stream.session.session import DEMO
from stream.wire import AFFECT, FACE, FRAME, HEALTH, INFO, LARGEST_REQUEST, NOTIFY, schema
from tests.support.ports import free_port

pytestmark = pytest.mark.slow

FRAMES = int(os.environ.get("NORMTR_HOSTILE_FRAMES", "2000"))
"""How many the fuzzer sends; 50000 in the long form."""
BATCH = 20
ANSWERED_MS = 10_000


def ask(address: str, **request: Any) -> dict[str, Any]:
    """One request from a client of its own."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(address)
        socket.send(msgpack.packb(request))
        assert socket.poll(ANSWERED_MS), f"no answer to {request}"
        answer: dict[str, Any] = msgpack.unpackb(socket.recv())
    return answer


def echo(word: str) -> dict[str, Any]:
    return {"said": word}


def nothing() -> dict[str, Any]:
    return {}


def refuse() -> dict[str, Any]:
    raise UserError("not today.")


def fail() -> dict[str, Any]:
    raise ZeroDivisionError


@pytest.fixture
def port() -> Iterator[str]:
    address = free_port()
    verbs = {"echo": echo, "refuse": refuse, "fail": fail, "none": nothing}
    control = ControlServer(address)
    control.serve(verbs)
    yield address
    control.close()


def test_a_request_is_answered_by_its_verb(port: str) -> None:
    assert ask(port, verb="echo", word="hello") == {"ok": True, "said": "hello"}


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"verb": "nonsense"}, "give one of the verbs echo"),
        ({"verb": 3}, "give one of the verbs"),
        ({"verb": ["echo"]}, "give one of the verbs"),
        ({}, "give one of the verbs"),
        ({"verb": "echo"}, "echo takes word"),
        ({"verb": "echo", "word": 5}, "echo takes word"),
        ({"verb": "echo", "word": "a", "self": "b"}, "echo takes word"),
        ({"verb": "refuse"}, "not today."),
        ({"verb": "fail"}, "ZeroDivisionError"),
    ],
)
def test_what_cannot_be_done_is_answered_with_a_sentence(
    port: str, request_: dict[str, Any], says: str
) -> None:
    answer = ask(port, **request_)
    assert answer["ok"] is False
    assert says in answer["error"]


@pytest.mark.parametrize(
    "frames",
    [
        [b""],
        [b"", b""],
        [b"", b"\xc1"],
        [b"", msgpack.packb([1, 2])],
        [b"", msgpack.packb({b"verb": "echo"})],
        [b"", msgpack.packb({3: 4})],
        [b"", b"\x91" * 9000],
        [b"", b"\xdf\xff\xff\xff\xff"],
        [b"", msgpack.packb(msgpack.ExtType(5, b"x"))],
        [b"", b"one", b"two"],
        [b"no delimiter"],
        [b"id", b"", msgpack.packb({"verb": "no"})],
    ],
    ids=str,
)
def test_malformed_requests_are_answered_with_an_error(port: str, frames: list[bytes]) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(port)
        socket.send_multipart(frames)
        assert socket.poll(ANSWERED_MS)
        *envelope, answer = socket.recv_multipart()
    assert envelope[-1] == b""
    assert msgpack.unpackb(answer)["ok"] is False


@pytest.mark.parametrize("size", [LARGEST_REQUEST + 1, 100_000, 5_000_000])
def test_a_request_that_is_too_large_is_answered_with_a_sentence(port: str, size: int) -> None:
    with zmq.Context() as context, context.socket(zmq.REQ) as large:
        large.setsockopt(zmq.LINGER, 0)
        large.connect(port)
        large.send(bytes(size))
        assert large.poll(ANSWERED_MS)
        assert msgpack.unpackb(large.recv()) == {
            "ok": False,
            "error": f"a request has 10,000 bytes at most, and this one {size:,}.",
        }


def test_our_client_refuses_what_is_too_large_itself(port: str) -> None:
    with control_client.Control(port) as control:
        with pytest.raises(UserError, match=r"10,000 bytes at most, and this echo 100,0\d\d\."):
            control.ask("echo", word="x" * 100_000)
        assert control.ask("echo", word="x" * 9_000)["ok"]


def test_a_frame_that_no_request_can_be_ends_its_connection_and_no_other(port: str) -> None:
    with zmq.Context() as context, context.socket(zmq.REQ) as large:
        large.setsockopt(zmq.LINGER, 0)
        large.connect(port)
        large.send(bytes(LARGEST_READ + 1))
        assert not large.poll(500)
        assert ask(port, verb="none") == {"ok": True}


def test_an_envelope_that_is_too_large_is_not_sent_back(port: str) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(port)
        socket.send_multipart([bytes(5_000_000), b"", msgpack.packb({"verb": "none"})])
        socket.send_multipart([b"id", b"", msgpack.packb({"verb": "none"})])
        assert socket.poll(ANSWERED_MS)
        assert socket.recv_multipart()[:2] == [b"id", b""]


def test_a_port_in_use_is_refused_by_name(port: str) -> None:
    with pytest.raises(UserError, match=f"{port} is in use.*--control"):
        ControlServer(port)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
names = st.sampled_from(["echo", "refuse", "fail", "none", "", "verb"])
frames = (
    st.binary(max_size=200)
    | values.map(msgpack.packb)
    | st.builds(lambda name, word: msgpack.packb({"verb": name, "word": word}), names, values)
)


SERVER = """
import sys
from stream.publish.control import ControlServer
control = ControlServer(sys.argv[1])
control.serve({"echo": lambda word: {"said": word}, "none": lambda: {}})
sys.stdin.read()
control.close()
"""


def test_the_port_outlives_hostile_frames() -> None:
    """In a process of its own, whose memory is not the fuzzer's."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", SERVER, port], stdin=subprocess.PIPE)
    process = psutil.Process(server.pid)
    assert ask(port, verb="none")["ok"]
    after: list[float] = []
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(port)

        @settings(max_examples=FRAMES // BATCH)
        @given(st.lists(frames, min_size=BATCH, max_size=BATCH), st.integers(1, 5))
        def fuzz(hostile: list[bytes], parts: int) -> None:
            for begin in range(0, BATCH, parts):
                socket.send_multipart(hostile[begin : begin + parts])
            while socket.poll(0):
                socket.recv_multipart()
            after.append(process.memory_info().rss / 2**20)

        fuzz()
    assert ask(port, verb="echo", word="still") == {"ok": True, "said": "still"}
    server.communicate(timeout=30)
    assert server.returncode == 0
    assert max(after[-10:]) - max(after[: len(after) // 4]) < 16


def test_clients_that_leave_or_take_no_answer_do_not_stop_it(port: str) -> None:
    with zmq.Context() as context:
        deaf = context.socket(zmq.DEALER)
        deaf.setsockopt(zmq.RCVHWM, 1)
        deaf.connect(port)
        for _ in range(300):
            deaf.send_multipart([b"", msgpack.packb({"verb": "none"})])
        for _ in range(20):
            with context.socket(zmq.REQ) as gone:
                gone.setsockopt(zmq.LINGER, 0)
                gone.connect(port)
                gone.send(msgpack.packb({"verb": "none"}))
        assert ask(port, verb="none") == {"ok": True}
        deaf.close(0)


# A running session


@dataclass
class Watcher:
    """`normtr live` on the demo clip with both opt-in topics, and everything that it publishes."""

    address: str
    control: str
    data: Path
    socket: zmq.Socket[bytes]
    got: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def ask(self, verb: str, **arguments: str) -> dict[str, Any]:
        answer = ask(self.control, verb=verb, **arguments)
        assert answer.pop("ok"), answer
        return answer

    def until(self, holds: Callable[[], bool], limit_s: float = 30.0) -> None:
        end = time.monotonic() + limit_s
        while not holds():
            assert time.monotonic() < end, "it did not come about"
            if self.socket.poll(100):
                topic, payload = self.socket.recv_multipart()
                self.got.setdefault(topic.decode(), []).append(msgpack.unpackb(payload))

    def more(self, topic: str, count: int) -> list[dict[str, Any]]:
        """The next so many messages of a topic."""
        had = len(self.got.get(topic, []))
        self.until(lambda: len(self.got.get(topic, [])) >= had + count)
        return self.got[topic][had:]

    def steps(self, modality: str, begin_ns: int, end_ns: int) -> set[str]:
        """The causes of the steps that lie within this time, by the newest estimate."""
        affect = self.got[AFFECT][-1]
        window = affect["window"]
        ends = range(window["begin_ns"], window["end_ns"], window["step_ns"])
        return {
            cause
            for at_ns, cause in zip(ends, affect["gaps"][modality], strict=True)
            if begin_ns <= at_ns and at_ns + window["step_ns"] <= end_ns
        }

    def notices(self, kind: str) -> list[dict[str, Any]]:
        return [notice for notice in self.got.get(NOTIFY, []) if notice["kind"] == kind]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watcher]:
    address, folder = free_port(), tmp_path_factory.mktemp("data")
    options = ("--source", DEMO, "--bind", address, "--faces", "--frames", "--text", "off")
    looped = (  # as if a person sat there all the while
        "import sys, stream.commands.live, stream.commands.live_session as live\n"
        "from dataclasses import replace\n"
        "once = live.open_session\n"
        "live.open_session = lambda config, **k: replace("
        "once(replace(config, seconds=90.0), repeat=True, **k), captures=True)\n"
        "stream.commands.live.main(sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", looped, *map(str, options)],
        env={**os.environ, "XDG_DATA_HOME": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.connect(address)
        for topic in (AFFECT, HEALTH, INFO, NOTIFY):
            socket.subscribe(topic)
        watcher = Watcher(address, beside(address), folder, socket)
        watcher.until(lambda: len(watcher.got.get(AFFECT, [])) > 4, 90)
        yield watcher
        process.terminate()
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0, said
        assert b"Traceback" not in said


def test_what_can_be_read_is_told(live: Watcher) -> None:
    before = time.monotonic_ns()
    told = live.ask("time")
    assert before <= told["now_ns"] <= time.monotonic_ns()  # one machine, one clock
    assert abs(told["utc_ns"] - time.time_ns()) < 60e9
    assert live.ask("info")["info"]["spec"]["step_ms"] == 250
    live.more(HEALTH, 1)
    (health,) = live.ask("health")["health"].values()
    jsonschema.validate(health, schema(HEALTH))
    assert live.ask("config")["config"]["text"] == "off"


def test_faces_and_frames_are_made_only_for_who_subscribes(live: Watcher) -> None:
    live.socket.subscribe("er.v1.f")
    faces, frames = live.more(FACE, 8), live.more(FRAME, 8)
    live.socket.unsubscribe("er.v1.f")
    live.more(AFFECT, 4)
    counted = len(live.got[FACE])
    live.more(AFFECT, 4)
    live.socket.subscribe(FACE)
    again = live.more(FACE, 1)[0]
    live.socket.unsubscribe(FACE)
    assert again["seq"] - live.got[FACE][counted - 1]["seq"] <= 1  # none was made meanwhile
    for face in faces:
        jsonschema.validate(face, schema(FACE))
        assert (face["probabilities"] is None) == (face["cause"] != "none")
    for frame in frames:
        jsonschema.validate(frame, schema(FRAME))
        assert frame["jpeg"][:3] == b"\xff\xd8\xff"


@pytest.mark.parametrize(("device", "modality"), [("camera", "face"), ("microphone", "voice")])
def test_a_muted_device_is_not_used_until_it_is_unmuted(
    live: Watcher, device: str, modality: str
) -> None:
    live.ask("mute", device=device)
    muted_ns = time.monotonic_ns()
    live.ask("mute", device=device)  # once more changes nothing
    live.more(AFFECT, 8)
    live.ask("unmute", device=device)
    free_ns = time.monotonic_ns()
    live.more(AFFECT, 4)
    assert live.steps(modality, muted_ns, free_ns) == {"muted"}
    assert live.steps("face", free_ns + 250_000_000, time.monotonic_ns()).isdisjoint({"muted"})
    # The clip's own sound stops for a while, which is muted, too.
    live.until(lambda: bool(live.steps("voice", free_ns, 2**63) - {"muted"}))
    for kind in ("muted", "unmuted"):
        told = [n["detail"] for n in live.notices(kind) if n["modality"] == modality]
        assert told.count(f"the {device} is {kind} by request") == 1


def test_a_paused_session_goes_on_without_input(live: Watcher) -> None:
    live.ask("pause")
    live.ask("mute", device="camera")
    begin_ns = time.monotonic_ns()
    live.more(AFFECT, 6)
    live.ask("resume")
    end_ns = time.monotonic_ns()
    live.more(AFFECT, 5)
    live.ask("unmute", device="camera")
    back_ns = time.monotonic_ns()
    live.more(AFFECT, 4)
    assert live.steps("face", begin_ns, end_ns) == {"paused"}
    assert live.steps("voice", begin_ns, end_ns) == {"paused"}
    assert live.steps("face", end_ns + 250_000_000, back_ns) == {"muted"}
    assert "paused" not in live.steps("voice", end_ns + 250_000_000, back_ns)
    assert [len(live.notices(kind)) for kind in ("paused", "resumed")] == [1, 1]


def test_a_mark_is_published_with_its_time(live: Watcher) -> None:
    before = time.monotonic_ns()
    t_ns = live.ask("mark", label="the joke")["t_ns"]
    live.until(lambda: bool(live.notices("mark")))
    (mark,) = live.notices("mark")
    jsonschema.validate(mark, schema(NOTIFY))
    assert (mark["detail"], mark["t_ns"]) == ("the joke", t_ns)
    assert before <= t_ns <= time.monotonic_ns()
    for label in ("", "x" * (LONGEST_LABEL + 1), "x" * 100_000):
        assert not ask(live.control, verb="mark", label=label)["ok"]
    assert "camera, microphone" in ask(live.control, verb="mute", device="tv")["error"]


def test_a_calibration_is_measured_on_the_running_session_and_kept_here(live: Watcher) -> None:
    assert live.ask("calibrate")["seconds"] == 10
    assert "already" in ask(live.control, verb="calibrate")["error"]
    live.until(lambda: bool(live.notices("calibrated")), 40)
    kept = live.data / "normtr" / "person.json"
    assert kept.is_file()
    assert kept.stat().st_mode & 0o077 == 0


def test_a_clip_that_is_played_is_nobody_to_calibrate_on(tmp_path: Path) -> None:
    address = free_port()
    words = ("live", "--source", DEMO, "--bind", address, "--text", "off")
    process = subprocess.Popen(
        [sys.executable, "-m", "normtr", *map(str, words)],
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with subscribe(AFFECT, address=address) as subscription:
            subscription.receive(90)
        answer = ask(beside(address), verb="calibrate")
        assert not answer["ok"]
        assert "a clip is played" in answer["error"]
    finally:
        process.terminate()
        process.wait(30)
    assert not list(tmp_path.iterdir())


def test_estimates_go_on_while_the_port_is_flooded(live: Watcher) -> None:
    first = live.more(AFFECT, 1)[0]
    with zmq.Context() as context, context.socket(zmq.DEALER) as hostile:
        hostile.setsockopt(zmq.LINGER, 0)
        hostile.connect(live.control)
        for number in range(2000):
            hostile.send_multipart([b"", b"\x81\xa4verb\xa4time", bytes(number % 100)])
            hostile.send_multipart([b"", b"\x81\xa4verb\xa4time"])
            while hostile.poll(0):
                hostile.recv_multipart()
        last = live.more(AFFECT, 4)[-1]
    span = last["window"]["end_ns"] - first["window"]["end_ns"]
    assert span == (last["seq"] - first["seq"]) * 250_000_000  # no tick was left out
    live.ask("time")


def test_everything_that_was_published_follows_its_schema(live: Watcher) -> None:
    for topic, payloads in live.got.items():
        for payload in payloads:
            jsonschema.validate(payload, schema(topic))
        seqs = [payload["seq"] for payload in payloads if topic not in (FACE, FRAME)]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) if seqs else True
