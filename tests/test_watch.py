"""`normtr watch` as a user meets it: chart, lines, table, endings; and what the chart remembers."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.auth
from hypothesis import given
from hypothesis import strategies as st

from normtr.errors import UsageError
from stream.client.received import FRAME, Affect, received
from stream.commands import watch
from stream.publish.publisher import Publisher
from stream.views.history import SECONDS, History
from stream.wire import AFFECT, INFO, NOTIFY, Message, encode
from tests.support.messages import SAID, said
from tests.support.ports import free_port
from tests.support.program import refused

pytestmark = pytest.mark.slow

STEP_NS = 250_000_000
UTC_NS = int(datetime(2026, 11, 30, 12, 3, 22, tzinfo=UTC).timestamp()) * 10**9


def affect(step: int, **keys: object) -> Message:
    end = (step + 1) * STEP_NS
    window = {"begin_ns": end - 16 * STEP_NS, "end_ns": end, "step_ns": STEP_NS, "steps": 16}
    return said(AFFECT, step, **{"window": window, "t_ns": end, **keys})


class Session(threading.Thread):
    """Publishes an estimate, a frame and an event in turn until told to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.address = free_port()
        self._stop_asked = threading.Event()
        self.start()

    def run(self) -> None:
        publisher = Publisher(self.address)
        frame = {"jpeg": b"\xff\xd8", "width": 1, "height": 1, "t_ns": 0, "sent_ns": 0}
        for seq in range(5000):
            publisher.send(affect(seq))
            publisher.send(Message(FRAME, {**frame, "session": "0" * 16, "seq": seq}))
            publisher.send(said(NOTIFY, seq))
            if self._stop_asked.wait(0.02):
                break
        publisher.close()

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()


@pytest.fixture
def session() -> Iterator[Session]:
    one = Session()
    yield one
    one.stop()


def command(session: Session, *options: object) -> list[str]:
    words = ("--address", session.address, *options)
    return [sys.executable, "-m", "normtr", "watch", *map(str, words)]


def test_json_is_one_message_a_line_until_the_pipe_closes(session: Session) -> None:
    process = subprocess.Popen(
        command(session, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    records = [json.loads(process.stdout.readline()) for _ in range(30)]
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    payloads: dict[str, dict[str, Any]] = {r["topic"]: r["payload"] for r in records}
    assert payloads.keys() == {AFFECT, NOTIFY, FRAME}
    assert payloads[FRAME]["jpeg"] == {"base64": "/9g="}
    assert payloads[AFFECT]["probabilities"] == SAID[AFFECT].payload["probabilities"]


@pytest.mark.parametrize(
    ("stop", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)], ids=["ctrl-c", "terminate"]
)
def test_the_table_has_whole_rows_whenever_it_is_ended(
    stop: signal.Signals, status: int, session: Session, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    process = subprocess.Popen(
        command(session, "--csv", path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(5):
        assert "angry" in process.stdout.readline()  # without a terminal a line an estimate
    process.send_signal(stop)
    _, said_last = process.communicate(timeout=20)
    assert (process.returncode, said_last) == (status, "")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 5
    numbers = [int(row["seq"]) for row in rows]
    assert numbers == list(range(numbers[0], numbers[0] + len(rows)))
    payload = SAID[AFFECT].payload
    for row in rows:
        assert float(row["angry"]) == payload["probabilities"][0]
        assert (row["top"], row["abstained"], row["face"]) == ("angry", "0", "none")
        assert int(row["t_ns"]) == (int(row["seq"]) + 1) * STEP_NS


class Terminal:
    """A pseudo-terminal of 90 x 24 with the program in it."""

    def __init__(self, words: list[str]) -> None:
        self.outside, inside = pty.openpty()
        size = {"LINES": "24", "COLUMNS": "90", "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            words, stdin=inside, stdout=inside, stderr=inside, env={**os.environ, **size}
        )
        os.close(inside)
        self.shown = ""

    def until(self, holds: Callable[[str], bool]) -> None:
        end = time.monotonic() + 30
        while not holds(self.shown):
            assert time.monotonic() < end, self.shown[-3000:]
            if select.select([self.outside], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.outside, 65536).decode(errors="replace")
                except OSError:  # the program is gone
                    assert holds(self.shown), self.shown[-3000:]


def test_the_chart_shows_bars_history_events_and_silence_and_leaves_the_terminal_whole(
    session: Session,
) -> None:
    terminal = Terminal(command(session))
    try:
        terminal.until(lambda shown: "nothing arrives from" in shown)
        terminal.until(lambda shown: "not enough to say" in shown or "confidence 40%" in shown)
        terminal.until(lambda shown: "face: unplugged" in shown and "▮ here" in shown)
        assert "▄" in terminal.shown
        session.stop()
        told = len(terminal.shown)
        terminal.until(lambda shown: "nothing arrives from" in shown[told:])
        terminal.process.send_signal(signal.SIGINT)
        terminal.until(lambda shown: shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l"))
        assert terminal.process.wait(10) == 130
        assert "Traceback" not in terminal.shown
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.outside)


def test_a_terminal_that_is_closed_ends_it(session: Session) -> None:
    terminal = Terminal(command(session))
    terminal.until(lambda shown: "confidence" in shown)
    os.close(terminal.outside)
    assert terminal.process.wait(20) == 0


@pytest.mark.parametrize("output", [["--json"], ["--csv", "a.csv"], []], ids=["json", "csv", "-"])
def test_where_nobody_publishes_it_says_so_soon_and_ends_with_1(
    output: list[str], tmp_path: Path
) -> None:
    address = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "normtr", "watch", "--address", address, "--seconds", "4", *output],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    sentence = process.stderr.readline()
    assert process.poll() is None  # before the end
    assert f"nothing arrives from {address}; start `normtr live`" in sentence
    out, said = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert said.startswith("normtr watch: within 4 s nothing arrives from")
    assert not list(tmp_path.iterdir())


def test_a_recognizer_that_has_nothing_to_say_of_a_topic_is_not_missing() -> None:
    address = free_port()
    words = ["--address", address, "--topic", NOTIFY, "--json", "--seconds", "3"]
    with closing(Publisher(address)) as publisher:
        process = subprocess.Popen(
            [sys.executable, "-m", "normtr", "watch", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while process.poll() is None:
            if publisher.info_wanted():
                publisher.send(said_of_clock(0, 0))
            publisher.send(affect(0))
            time.sleep(0.02)
    assert process.communicate() == ("", "")
    assert process.returncode == 0


def said_of_clock(monotonic_ns: int | None, utc_ns: int | None) -> Message:
    clock = {"monotonic_ns": monotonic_ns, "utc_ns": utc_ns}
    return said(INFO, 0, clock=clock, origin_ns=STEP_NS)


@pytest.mark.parametrize(
    ("clock", "replay", "first", "second"),
    [
        (None, False, r"\d\d:\d\d:\d\d\.\d\d", r"\d\d:\d\d:\d\d\.\d\d"),
        (said_of_clock(STEP_NS, UTC_NS), True, "14:03:22.25", "14:03:22.50"),
        (said_of_clock(None, None), True, "   0.25 s", "   0.50 s"),
        (None, True, "   0.00 s", "   0.25 s"),
    ],
    ids=["live", "recorded", "virtual", "nothing known"],
)
def test_lines_tell_the_local_time_of_day(
    clock: Message | None, replay: bool, first: str, second: str
) -> None:
    address = free_port()
    words = [sys.executable, "-u", "-m", "normtr", "watch", "--address", address]
    environment = {**os.environ, "TZ": "UTC-2"}  # two hours ahead
    with closing(Publisher(address)) as publisher:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
        while not publisher.info_wanted():
            time.sleep(0.02)
        if clock is not None:
            publisher.send(clock)
        for step in (1, 2):
            publisher.send(affect(step, replay=replay))
        assert process.stdout is not None
        for at in (first, second):
            assert re.match(rf"\s*{at}  (angry|not enough)", process.stdout.readline())
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize(("output", "status"), [("--csv", 1), ("--json", 1), ("", 0)])
def test_what_did_not_arrive_is_told_at_the_end(output: str, status: int, tmp_path: Path) -> None:
    address = free_port()
    options = {"--csv": ["--csv", "a.csv"], "--json": ["--json"], "": []}[output]
    with closing(Publisher(address)) as publisher:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "normtr", "watch", "--address", address, *options],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not publisher.info_wanted():
            time.sleep(0.02)
        for step in (5, 6, 9, 10):  # it came in the middle; 7 and 8 are lost
            publisher.send(affect(step))
        assert process.stdout is not None
        for _ in range(4):
            assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said_last = process.communicate(timeout=20)
    assert process.returncode == (status or 130)
    assert ("2 of er.v1.affect did not arrive" in said_last) == bool(status)


def test_a_table_that_is_there_is_kept_unless_forced(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("an hour's work\n")
    status, sentence = refused("--csv", path, verb="watch")
    assert (status, path.read_text()) == (1, "an hour's work\n")
    assert "a.csv is there already; give another name, or --force to replace it." in sentence
    options = ("--csv", path, "--force", "--seconds", "3")
    assert subprocess.run(command(session, *options), timeout=60, check=False).returncode == 0
    assert path.read_text().startswith("session,source,seq,")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--topic", "affect"), "no topic begins with 'affect'"),
        (("--csv", "/no/such/folder/a.csv"), "cannot write /no/such/folder/a.csv"),
    ],
)
def test_refusals(options: tuple[str, str], says: str) -> None:
    status, sentence = refused(*options, verb="watch")
    assert status == 1
    assert says in sentence


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--address", "localhost"), "'localhost' is no address; give --address tcp://HOST:PORT"),
        (("--address", "tcp://127.0.0.1:99999"), "with a port from 1 to 65535"),
        (("--seconds", "-1"), "--seconds must be above 0, not -1."),
        (("--seconds", "soon"), "'seconds' must be a number, not soon."),
    ],
)
def test_wrong_usage(options: tuple[str, str], says: str) -> None:
    status, sentence = refused(*options, verb="watch")
    assert status == 2
    assert says in sentence


def test_one_key_alone_is_refused() -> None:
    with pytest.raises(UsageError, match="--client-key and --server-key belong together"):
        watch.run(["--client-key", "a"])


def test_a_locked_recognizer_is_watched_with_keys(tmp_path: Path) -> None:
    public, secret = zmq.auth.create_certificates(tmp_path, "server")
    _, own = zmq.auth.create_certificates(tmp_path, "client")
    address = free_port()
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(secret)
        socket.curve_server = True
        socket.bind(address)
        words = ["--address", address, "--client-key", own, "--server-key", public, "--json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "normtr", "watch", *words, "--seconds", "2"],
            stdout=(tmp_path / "shown").open("w"),
        )
        while process.poll() is None:
            socket.send_multipart(encode(affect(0)))
            time.sleep(0.02)
    assert AFFECT in (tmp_path / "shown").read_text()


def estimate(step: int, **keys: object) -> Affect:
    made = received(affect(step, **keys))
    assert isinstance(made, Affect)
    return made


def causes(cause: str, last: str) -> dict[str, list[str]]:
    return {m: [*[cause] * 15, last] for m in ("face", "voice", "text")}


def test_a_second_has_the_mean_of_its_estimates_and_the_cause_told_last() -> None:
    history = History()
    labels = ["angry", "sad"]
    for step in range(80, 84):  # the second from 20 s
        high = 1.0 if step < 82 else 0.0
        history.add(
            estimate(
                step,
                labels=labels,
                probabilities=[high, 1 - high],
                abstained=step > 80,
                gaps=causes("none", "late"),
            )
        )
    last = history.columns()[-1]
    assert last.levels == {"angry": 0.5, "sad": 0.5}
    assert last.abstained
    assert last.causes == {"face": "none", "voice": "none", "text": "none"}  # 3 of 4 came later
    before = history.columns()[-2]
    assert before.levels == {}
    assert before.causes["face"] == "none"


def test_lost_messages_are_empty_columns_and_a_minute_is_all_that_is_kept() -> None:
    history = History()
    for step in (*range(400), *range(440, 480)):
        history.add(estimate(step, gaps=causes("none", "none")))
    columns = history.columns()
    assert len(columns) == SECONDS
    empty = [not column.levels for column in columns]
    assert empty == [False] * 40 + [True] * 10 + [False] * 10


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63),
            st.integers(1, 2**63),
            st.lists(st.sampled_from(["none", "late", "what"]), min_size=1, max_size=40),
        ),
        max_size=8,
    )
)
def test_whatever_windows_a_publisher_tells_there_are_sixty_columns(
    windows: list[tuple[int, int, list[str]]],
) -> None:
    history = History()
    for end, step, told in windows:
        window = {"begin_ns": 0, "end_ns": end, "step_ns": step, "steps": len(told)}
        history.add(estimate(0, window=window, gaps={"face": told}))
        columns = history.columns()
        assert len(columns) == SECONDS
        assert columns[-1].causes
