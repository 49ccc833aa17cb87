"""The publishing socket: refusals, late joiners, slow subscribers."""

from __future__ import annotations

import json
import socket as unix
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from normtr.errors import UsageError, UserError
from stream.client.control_client import beside
from stream.publish.endpoint import is_local
from stream.publish.publisher import Publisher
from stream.wire import AFFECT, FRAME, INFO, Message, decode
from tests.support.ports import free_port

pytestmark = pytest.mark.slow


def wanted_within(publisher: Publisher, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if publisher.info_wanted():
            return True
        time.sleep(0.01)
    return False


def test_a_port_in_use_is_refused_by_name() -> None:
    address = free_port()
    first = Publisher(address)
    with pytest.raises(UserError, match=address):
        Publisher(address)
    first.close()
    Publisher(address).close()


@pytest.mark.parametrize(
    "address", ["tcp://0.0.0.0:5599", "tcp://*:5599", "tcp://192.168.1.2:5599", "tcp://[::]:5599"]
)
def test_an_open_address_is_refused_without_curve_keys(address: str) -> None:
    with pytest.raises(UserError, match="CURVE"):
        Publisher(address)


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:1", "tcp://localhost:1", "tcp://[::1]:1", "ipc:///tmp/x"]
)
def test_loopback_is_local(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize(
    "address",
    [
        *("foo", "", "tcp://", "ipc://", "udp://127.0.0.1:5577", "127.0.0.1:5577"),
        *("tcp://127.0.0.1", "tcp://127.0.0.1:notaport", "tcp://:5577", "tcp://127.0.0.1: 5577"),
        *("tcp://127.0.0.1:0", "tcp://127.0.0.1:-1", "tcp://127.0.0.1:65536"),
        *("tcp://127.0.0.1:99999", "tcp://127.0.0.1:5577/x", "tcp://127.0.0.1:5577\n"),
    ],
)
def test_what_is_no_address_is_told_what_one_looks_like(address: str) -> None:
    with pytest.raises(UsageError, match=r"is no address; give --bind tcp://HOST:PORT") as refused:
        Publisher(address)
    assert repr(address) in str(refused.value)


def test_subscribing_to_info_is_noticed_every_time_and_other_topics_are_not() -> None:
    address = free_port()
    publisher = Publisher(address)
    with zmq.Context() as context:
        for prefix, expected in ((INFO, True), ("er.v1.", True), ("er.v1.affect", False)):
            with context.socket(zmq.SUB) as socket:
                socket.connect(address)
                socket.subscribe(prefix)
                assert wanted_within(publisher, 2.0 if expected else 0.5) is expected
    publisher.close()


def test_a_subscriber_that_does_not_read_costs_nothing_and_loses_only_its_own() -> None:
    address = free_port()
    publisher = Publisher(address)
    with zmq.Context() as context:
        slow, quick = context.socket(zmq.SUB), context.socket(zmq.SUB)
        slow.setsockopt(zmq.RCVHWM, 1)
        for socket in (slow, quick):
            socket.connect(address)
            socket.subscribe("er.v1.info")
        time.sleep(0.3)
        seen, longest = [], 0.0
        for number in range(3000):
            began = time.monotonic()
            publisher.send(Message(INFO, {"seq": number, "ballast": "x" * 2000}))
            longest = max(longest, time.monotonic() - began)
            if quick.poll(1000):  # it keeps pace, however late its thread gets to run
                seen.append(decode(quick.recv_multipart()).payload["seq"])
        assert seen == list(range(3000))
        assert longest < 1.0
        slow.close(0)
        quick.close(0)
    publisher.close()


def test_a_patient_publisher_waits_for_who_is_slow_to_read() -> None:
    address = free_port()
    publisher = Publisher(address, patient=True)
    with zmq.Context() as context, context.socket(zmq.SUB) as slow:
        slow.setsockopt(zmq.RCVHWM, 1)
        slow.connect(address)
        slow.subscribe("er.v1.info")
        assert soon(publisher, INFO, True)
        seen: list[int] = []

        def read() -> None:
            while len(seen) < 3000:
                seen.append(decode(slow.recv_multipart()).payload["seq"])

        for number in range(3000):
            message = Message(INFO, {"seq": number, "ballast": "x" * 2000})
            if not publisher.send(message):
                break
        assert 0 < number < 2999  # it takes no more, until somebody reads
        reader = threading.Thread(target=read)
        reader.start()
        for rest in range(number, 3000):
            while not publisher.send(Message(INFO, {"seq": rest, "ballast": "x" * 2000})):
                time.sleep(0.001)
        publisher.close(30_000)
        reader.join(30)
        assert seen == list(range(3000))


def soon(publisher: Publisher, topic: str, wanted: bool, limit_s: float = 5.0) -> bool:
    until = time.monotonic() + limit_s
    while publisher.wants(topic) is not wanted:
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_a_topic_is_wanted_while_somebody_subscribes_to_it() -> None:
    address = free_port()
    publisher = Publisher(address)
    assert not publisher.wants(FRAME)
    with zmq.Context() as context:
        first, second = context.socket(zmq.SUB), context.socket(zmq.SUB)
        for socket, prefix in ((first, FRAME), (second, "er.v1.f")):
            socket.connect(address)
            socket.subscribe(prefix)
        assert soon(publisher, FRAME, True)
        assert not publisher.wants(AFFECT)
        first.unsubscribe(FRAME)
        time.sleep(0.2)
        assert publisher.wants(FRAME)  # the other one is still there
        second.close(0)
        assert soon(publisher, FRAME, False)
        first.subscribe("")
        assert soon(publisher, AFFECT, True)
        first.close(0)
        assert soon(publisher, AFFECT, False)
    publisher.close()


def test_hostile_subscriptions_are_not_remembered_and_do_not_hold_up_the_rest() -> None:
    address = free_port()
    publisher = Publisher(address)
    with zmq.Context() as context, context.socket(zmq.XSUB) as socket:
        socket.setsockopt(zmq.SNDHWM, 0)  # or what is sent too fast is dropped here
        socket.connect(address)
        for number in range(3000):
            socket.send(b"\x01er.v1.affect%d" % number)
            socket.send(b"\x02not a subscription")
            socket.send_multipart([b"\x01" + b"x" * 900, b"", b"\x00"])
        socket.send(b"\x01" + AFFECT.encode())
        assert soon(publisher, AFFECT, True)
        assert publisher._prefixes == {AFFECT.encode()}
        socket.send(b"\x01" + b"y" * 100_000)  # too large: it is disconnected
        assert soon(publisher, AFFECT, False)
    publisher.close()


def test_a_subscriber_that_slept_gets_what_is_new_and_lost_what_was_old() -> None:
    """Old are 1000 and more of the messages; of them it gets those that its own side had kept."""
    address = free_port()
    publisher = Publisher(address)
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.RCVHWM, 1)
        socket.connect(address)
        socket.subscribe(AFFECT)
        assert soon(publisher, AFFECT, True)
        sent, got = 0, []
        asleep = True
        began = time.monotonic()
        while time.monotonic() - began < 12.0:
            asleep = time.monotonic() - began < 8.0
            publisher.send(Message(AFFECT, {"seq": sent, "ballast": "x" * 1500}))
            sent += 1
            if asleep:
                woke_at = sent
            else:
                while socket.poll(0):
                    got.append(decode(socket.recv_multipart()).payload["seq"])
            time.sleep(0.005)
    publisher.close()
    stale = [seq for seq in got if seq < woke_at]
    assert woke_at > 800
    assert len(stale) < woke_at / 4
    assert max(stale) < woke_at - 100  # then a hole, and after it nothing old any more
    new = got[len(stale) :]
    assert new == list(range(new[0], new[-1] + 1))
    assert sent - new[-1] < 100
    assert new[0] - woke_at < 300


def test_many_subscribers_and_deaf_ones_cost_no_memory_and_hold_up_nothing() -> None:
    command = "import sys; from stream.bench.wire import run; sys.exit(run(sys.argv[1:]))"
    options = ["--json", "--seconds", "12", "--subscribers", "50", "--deaf", "5"]
    done = subprocess.run(
        [sys.executable, "-c", command, *options, "--bind", free_port()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["ticks"] == 48
    assert report["ticks_late"] <= 5  # none on a free machine
    assert report["rss_mib"]["end"] - report["rss_mib"]["settled"] < 8
    assert report["messages_per_s"] > 1000
    assert set(report["publish_ms"]) == set(report["latency_ms"]) == {"p50", "p95", "p99"}
    assert isinstance(report["lost"], int)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for the name of a socket."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_an_ipc_socket_is_for_its_user_alone(folder: Path) -> None:
    path = folder / "topics"
    publisher = Publisher(f"ipc://{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(UserError, match="in use"):
        Publisher(f"ipc://{path}")
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.connect(f"ipc://{path}")
        socket.subscribe(AFFECT)
        assert soon(publisher, AFFECT, True)
        publisher.send(Message(AFFECT, {}))
        assert socket.poll(5000)
    publisher.close()


def test_an_ipc_socket_takes_the_place_of_a_dead_one_but_of_no_other_file(folder: Path) -> None:
    dead, file = folder / "dead", folder / "thesis.txt"
    with unix.socket(unix.AF_UNIX) as left:
        left.bind(str(dead))
    Publisher(f"ipc://{dead}").close()
    file.write_text("precious")
    with pytest.raises(UserError, match="no socket"):
        Publisher(f"ipc://{file}")
    assert file.read_text() == "precious"


@pytest.mark.parametrize("address", ["ipc://@abstract", "ipc://*", "udp://127.0.0.1:9", "x"])
def test_addresses_that_cannot_be_kept_to_ourselves_are_refused(address: str) -> None:
    with pytest.raises(UserError):
        Publisher(address)


@pytest.mark.parametrize(
    ("address", "next_to_it"),
    [
        ("tcp://127.0.0.1:5577", "tcp://127.0.0.1:5578"),
        ("tcp://[::1]:5577", "tcp://[::1]:5578"),
        ("ipc:///run/user/1/er", "ipc:///run/user/1/er.control"),
    ],
)
def test_requests_are_answered_next_to_the_topics(address: str, next_to_it: str) -> None:
    assert beside(address) == next_to_it
