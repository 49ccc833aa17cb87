"""The client library over real sockets: what arrives, what is lost, who comes back."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq
import zmq.auth
from hypothesis import given, settings
from hypothesis import strategies as st

from normtr.errors import UserError
from stream import wire
from stream.client import (
    Affect,
    Control,
    Keys,
    Received,
    Refused,
    Subscription,
    Text,
    subscribe,
    subscribe_async,
)
from stream.client.received import FACE, FRAME, KINDS, Face, Frame, received
from stream.publish.publisher import Publisher
from stream.wire import (
    AFFECT,
    HEALTH,
    NOTIFY,
    PREFIX,
    TEXT,
    Message,
    WireError,
    encode,
    schema,
)
from tests.support.messages import SAID, SESSION, json_values, plain, said
from tests.support.ports import free_port

SCHEMAS = sorted((Path(wire.__file__).parent / "schema").glob("*.json"))


def reach(publisher: Publisher, subscription: Subscription, session: str = SESSION) -> None:
    """Publish until the subscription has a connection and has read all of it."""
    for seq in range(200):
        publisher.send(said(NOTIFY, seq, session))
        try:
            while subscription.receive(0.05).session != session:
                pass
        except TimeoutError:
            continue
        break
    else:
        pytest.fail("not connected within 10 s")
    with contextlib.suppress(TimeoutError):
        while subscription.receive(0.2):
            pass


@pytest.fixture
def publisher(address: str) -> Iterator[Publisher]:
    one = Publisher(address)
    yield one
    one.close()


@pytest.mark.parametrize("topic", SAID)
def test_every_topic_arrives_as_its_dataclass(
    topic: str, publisher: Publisher, address: str
) -> None:
    with subscribe(address=address) as subscription:
        reach(publisher, subscription)
        publisher.send(SAID[topic])
        message = subscription.receive(5)
    assert type(message) is KINDS[topic]
    assert plain(message.payload) == SAID[topic].payload
    for field in fields(message):
        if field.name in SAID[topic].payload:
            assert plain(getattr(message, field.name)) == SAID[topic].payload[field.name]


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_the_dataclasses_hold_what_the_schema_promises(path: Path) -> None:
    topic = PREFIX + path.stem
    promised = set(schema(topic)["properties"])
    named = {field.name for field in fields(KINDS[topic])}
    needed = {field.name for field in fields(KINDS[topic]) if field.default is MISSING}
    assert promised - named <= {"v"}
    assert needed - promised <= {"topic", "payload"}


def test_faces_and_frames_and_topics_that_are_not_known() -> None:
    envelope = {"session": SESSION, "seq": 0, "t_ns": 1, "sent_ns": 2}
    face = received(
        Message(FACE, {**envelope, "box": [1, 2, 3, 4], "landmarks": [[1, 2]] * 5, "score": 0.5})
    )
    assert isinstance(face, Face)
    assert face.landmarks == ((1, 2),) * 5
    assert isinstance(received(Message(FACE, {**envelope, "cause": "no_face"})), Face)
    frame = received(Message(FRAME, {**envelope, "jpeg": b"\xff\xd8", "width": 4, "height": 3}))
    assert isinstance(frame, Frame)
    assert frame.jpeg == b"\xff\xd8"
    other = received(Message("er.v1.gaze", {**envelope, "x": [1]}))
    assert type(other) is Received
    assert other.payload["x"] == (1,)


def test_keys_of_a_newer_version_are_kept_aside() -> None:
    message = received(
        said(AFFECT, 3, mood="fine", window={**SAID[AFFECT].payload["window"], "z": 1})
    )
    assert isinstance(message, Affect)
    assert message.payload["mood"] == "fine"
    assert replace(message, payload={}) == message


def test_what_is_no_message_is_left_out_and_counted(
    publisher: Publisher, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = [
        said(AFFECT, 0, probabilities=None),
        said(AFFECT, 1, labels=["one"]),
        said(AFFECT, 2, gaps={"face": []}),
        said(AFFECT, 3, window={"begin_ns": 0, "end_ns": 0, "step_ns": 0, "steps": 1}),
        said(TEXT, 4, begin_ns="soon"),
        Message(AFFECT, {"seq": 1}),
        Message("er.v1." + "x" * 10, {}),
    ]
    with subscribe(address=address) as subscription:
        reach(publisher, subscription)
        for message in wrong:
            publisher.send(message)
        publisher.send(SAID[AFFECT])
        assert isinstance(subscription.receive(5), Affect)
        assert subscription.refused == len(wrong)
    assert "probabilities" in caplog.text


@settings(max_examples=300)
@given(st.sampled_from(sorted(SAID)), st.data())
def test_whatever_a_key_holds_it_is_a_message_or_a_wire_error(
    topic: str, data: st.DataObject
) -> None:
    payload = SAID[topic].payload
    key = data.draw(st.sampled_from(sorted(payload)))
    try:
        message = received(Message(topic, {**payload, key: data.draw(json_values)}), 5)
    except WireError:
        return
    assert type(message) is KINDS[topic]


def test_a_recognizer_that_starts_anew_is_found_and_loss_is_counted(address: str) -> None:
    other = "f" * 16
    with subscribe("er.v1.", address=address) as subscription:  # before anyone publishes
        first = Publisher(address)
        reach(first, subscription)
        lost = subscription.lost
        for seq in (5, 6, 9, 10):  # joins late: what was before 5 is not lost
            first.send(said(AFFECT, seq))
        assert [subscription.receive(5).seq for _ in range(4)] == [5, 6, 9, 10]
        assert subscription.lost - lost == 2
        first.close()
        second = Publisher(address)
        reach(second, subscription, other)
        second.send(said(AFFECT, 3, other))
        assert subscription.receive(5).session == other
        second.close()
        assert subscription.lost - lost == 2
        assert (subscription.session, subscription.restarts) == (other, 1)


def test_the_head_of_a_replay_counts_as_lost_and_that_of_a_live_session_does_not(
    publisher: Publisher, address: str
) -> None:
    with subscribe(address=address) as subscription:
        reach(publisher, subscription)
        publisher.send(said(AFFECT, 30))
        publisher.send(said(TEXT, 40, replay=True, first_seq=37))
        publisher.send(said(TEXT, 42, replay=True, first_seq=37))
        assert [subscription.receive(5).seq for _ in range(3)] == [30, 40, 42]
        assert subscription.lost_of[AFFECT] == 0
        assert subscription.lost_of[TEXT] == 3 + 1
        assert subscription.lost == sum(subscription.lost_of.values())


NOT_READING = """
import sys, time
from stream.client import subscribe
from stream.publish.publisher import Publisher
from stream.wire import NOTIFY
from tests.support.messages import said
publisher = Publisher(sys.argv[1])
with subscribe(NOTIFY, address=sys.argv[1]) as subscription:
    while not publisher.wants(NOTIFY):
        time.sleep(0.01)
    for seq in range(2500):
        publisher.send(said(NOTIFY, seq))
    time.sleep(0.5)
    publisher.close()
    time.sleep(2.5)
    assert [subscription.receive(5).seq for _ in range(500)] == list(range(500))
"""


@pytest.mark.slow
def test_who_does_not_read_outlives_the_end_of_its_publisher(address: str) -> None:
    """Heartbeats of ZeroMQ's in the client would end its whole program here."""
    done = subprocess.run(
        [sys.executable, "-c", NOT_READING, address],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_newest_gives_the_latest_of_each_topic_and_source(
    publisher: Publisher, address: str
) -> None:
    with subscribe(address=address, newest=True) as subscription:
        reach(publisher, subscription)
        for seq in range(20):
            publisher.send(said(AFFECT, seq, source="a"))
            publisher.send(said(AFFECT, seq, source="b"))
        publisher.send(said(HEALTH, 0, source="c"))
        time.sleep(0.5)  # all has come
        got = [subscription.receive(5) for _ in range(3)]
        assert [(m.topic, m.source) for m in got] == [(AFFECT, "a"), (AFFECT, "b"), (HEALTH, "c")]
        assert [m.seq for m in got[:2]] == [19, 19]
        with pytest.raises(TimeoutError):
            subscription.receive(0.2)


def test_asyncio_gives_the_same(publisher: Publisher, address: str) -> None:
    async def listen() -> list[Received]:
        got = []
        async with subscribe_async(AFFECT, TEXT, address=address, newest=True) as subscription:
            with pytest.raises(TimeoutError, match="nothing arrived"):
                await subscription.receive(0.1)
            sending = asyncio.create_task(send())
            async for message in subscription:
                got.append(message)
                if {AFFECT, TEXT} <= {m.topic for m in got}:
                    break
            sending.cancel()
        return got

    async def send() -> None:
        for seq in range(1000):
            for topic in (AFFECT, TEXT, HEALTH):
                publisher.send(said(topic, seq))
            await asyncio.sleep(0.02)

    got = asyncio.run(asyncio.wait_for(listen(), 30))
    assert {type(message) for message in got} == {Affect, Text}


def test_silence_is_a_time_out_after_which_it_goes_on(publisher: Publisher, address: str) -> None:
    subscription = subscribe(NOTIFY, address=address, timeout_s=0.2)
    reach(publisher, subscription)
    with pytest.raises(TimeoutError, match=r"within 0\.2 s"):
        next(subscription)
    publisher.send(said(NOTIFY, 900))
    assert next(subscription).seq == 900
    subscription.close()


@pytest.mark.parametrize(
    ("topic", "address", "says"),
    [
        ("affect", "tcp://127.0.0.1:1", "no topic begins with 'affect'"),
        (AFFECT, "127.0.0.1", "cannot connect to 127.0.0.1"),
        (AFFECT, "tcp://127.0.0.1:x", "cannot connect"),
    ],
)
def test_what_cannot_be_subscribed_to_is_one_sentence(topic: str, address: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        subscribe(topic, address=address)


class Answers(threading.Thread):
    """A control port whose machine was started `ahead_ns` before this one."""

    def __init__(self, ahead_ns: int = 0) -> None:
        super().__init__(daemon=True)
        self.address = free_port()
        self.asked = 0
        self._ahead_ns = ahead_ns
        self.start()

    def run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.REP) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.bind(self.address)
            while (request := msgpack.unpackb(socket.recv()))["verb"] != "end":
                self.asked += 1
                socket.send(self._reply(request))
            socket.send(msgpack.packb({"ok": True}))
            time.sleep(0.1)

    def _reply(self, request: dict[str, Any]) -> bytes:
        if request["verb"] == "garbage":
            return b"\xc1"
        if request["verb"] == "slow":
            time.sleep(0.6)
        if request["verb"] not in ("time", "slow"):
            return msgpack.packb({"ok": False, "error": f"no verb {request['verb']!r}."})
        now_ns = time.monotonic_ns() + self._ahead_ns
        return msgpack.packb({"ok": True, "now_ns": now_ns, "utc_ns": time.time_ns()})


@pytest.fixture
def answers() -> Iterator[Answers]:
    one = Answers(ahead_ns=3_600_000_000_000)
    yield one
    with Control(one.address) as control:
        control.ask("end")
    one.join(10)


def test_times_come_on_our_clock_when_asked_for(
    publisher: Publisher, address: str, answers: Answers
) -> None:
    ahead_ns = 3_600_000_000_000
    with subscribe(address=address, control=answers.address) as subscription:
        reach(publisher, subscription)
        begin, end = 7 * ahead_ns, 7 * ahead_ns + 4_000_000_000
        window = {"begin_ns": begin, "end_ns": end, "step_ns": 250_000_000, "steps": 16}
        publisher.send(said(AFFECT, 0, t_ns=end, window=window))
        message = subscription.receive(5)
        assert isinstance(message, Affect)
        assert abs(message.t_ns + ahead_ns - end) < 50_000_000
        assert message.window.end_ns == message.t_ns
        assert message.window.step_ns == 250_000_000
        assert message.payload["t_ns"] == end
        asked = answers.asked
        publisher.send(said(AFFECT, 1))
        subscription.receive(5)
        assert answers.asked == asked  # once a session
        publisher.send(said(AFFECT, 2, t_ns=end, replay=True))
        assert subscription.receive(5).t_ns == end
        reach(publisher, subscription, "f" * 16)
        assert answers.asked > asked


def test_control_says_why_not_and_survives_a_slow_answer(answers: Answers) -> None:
    with Control(answers.address, timeout_s=0.3) as control:
        assert control.ask("time")["ok"]
        with pytest.raises(Refused, match=r"no verb 'dance'\."):
            control.ask("dance")
        with pytest.raises(UserError, match="is no recognizer"):
            control.ask("garbage")
        with pytest.raises(TimeoutError, match="did not answer"):
            control.ask("slow")
        time.sleep(0.5)
        assert "now_ns" in control.ask("time")


def test_a_control_port_that_is_not_there_is_told_once_a_message_comes(
    publisher: Publisher, address: str
) -> None:
    with subscribe(address=address, control=free_port()) as subscription:
        with pytest.raises(TimeoutError, match="nothing arrived"):
            subscription.receive(0.1)
        with pytest.raises(TimeoutError, match="did not answer"):
            reach_unheard(publisher, subscription)


def reach_unheard(publisher: Publisher, subscription: Subscription) -> None:
    """Publish until something else than silence is told."""
    for seq in range(200):
        publisher.send(said(NOTIFY, seq))
        try:
            subscription.receive(0.05)
        except TimeoutError as error:
            if "nothing" not in str(error):
                raise


def test_keys_open_a_locked_publisher_and_others_get_nothing(tmp_path: Path, address: str) -> None:
    public, secret = zmq.auth.create_certificates(tmp_path, "server")
    _, client = zmq.auth.create_certificates(tmp_path, "client")
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(secret)
        socket.curve_server = True
        socket.bind(address)
        keys = Keys(client=Path(client), server=Path(public))
        with subscribe(address=address, keys=keys) as known, subscribe(address=address) as unknown:
            for _ in range(200):
                socket.send_multipart(encode(SAID[AFFECT]))
                try:
                    assert isinstance(known.receive(0.05), Affect)
                    break
                except TimeoutError:
                    continue
            else:
                pytest.fail("not connected within 10 s")
            with pytest.raises(TimeoutError):
                unknown.receive(0.5)
    with pytest.raises(UserError, match="has no secret key"):
        subscribe(address=address, keys=Keys(client=Path(public), server=Path(public)))
    damaged = tmp_path / "damaged.key"
    damaged.write_text(Path(public).read_text().replace('public-key = "', 'public-key = "x'))
    with pytest.raises(UserError, match="damaged"):
        subscribe(address=address, keys=Keys(client=Path(client), server=damaged))
    with pytest.raises(UserError, match="cannot read the key file"):
        subscribe(address=address, keys=Keys(client=tmp_path / "none", server=Path(public)))
