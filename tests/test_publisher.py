"""The publishing socket: refusals, late joiners, slow subscribers."""

from __future__ import annotations

import time

import pytest
import zmq

from normtr.errors import UserError
from stream.endpoint import is_local
from stream.publisher import Publisher
from stream.wire import INFO, Message, decode


def free_port() -> str:
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        return f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"


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


def test_nonsense_is_no_address() -> None:
    with pytest.raises(UserError, match="cannot bind"):
        Publisher("tcp://127.0.0.1:notaport")


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
            while quick.poll(0 if number < 2999 else 500):
                seen.append(decode(quick.recv_multipart()).payload["seq"])
        assert seen == list(range(3000))
        assert longest < 1.0
        slow.close(0)
        quick.close(0)
    publisher.close()
