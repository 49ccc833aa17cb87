"""How `normtr live` ends, and what it outlives: real processes, signals and terminals."""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import numpy as np
import psutil
import pytest
import zmq

from normtr import gap_trace
from stream.commands import sd_notify
from stream.publish import recording
from stream.publish.publisher import Publisher
from stream.session.session import DEMO
from stream.wire import AFFECT, INFO, NOTIFY, Message
from tests.support.sound_server import SoundServer

pytestmark = pytest.mark.slow

IDLE = """
import sys, time, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.setsockopt(zmq.RCVHWM, 1)
socket.connect(sys.argv[1])
socket.subscribe("")
socket.recv_multipart()
print("in", flush=True)
time.sleep(600)
"""


def command(address: str, *options: object) -> list[str]:
    words = ("--source", DEMO, "--text", "off", "--bind", address, *options)
    return [sys.executable, "-m", "normtr", "live", *map(str, words)]


class Listener:
    """Subscribes to everything and keeps the payloads by topic."""

    def __init__(self, address: str) -> None:
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.connect(address)
        self._socket.subscribe("")
        self.got: dict[str, list[dict]] = {}  # type: ignore[type-arg]

    def until(self, holds: Callable[[], bool], limit_s: float = 60.0) -> None:
        end = time.monotonic() + limit_s
        while not holds():
            assert time.monotonic() < end
            if self._socket.poll(100):
                topic, payload = self._socket.recv_multipart()
                self.got.setdefault(topic.decode(), []).append(msgpack.unpackb(payload))

    def estimates(self, count: int) -> None:
        self.until(lambda: len(self.got.get(AFFECT, [])) >= count)

    def close(self) -> None:
        self._socket.close(0)


@pytest.fixture
def listener(address: str) -> Iterator[Listener]:
    one = Listener(address)
    yield one
    one.close()


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=5)[1]


def test_a_closed_terminal_ends_it_cleanly(
    address: str, listener: Listener, tmp_path: Path
) -> None:
    record, gaps, picture = (tmp_path / name for name in ("a.jsonl", "gaps.jsonl", "a.png"))
    terminal, inside = pty.openpty()
    live = subprocess.Popen(
        command(address, "--record", record, "--record-gaps", gaps, "--timeline", picture),
        stdin=inside,
        stdout=inside,
        stderr=inside,
        preexec_fn=take_terminal,
    )
    os.close(inside)
    os.set_blocking(terminal, False)
    listener.until(lambda: drained(terminal) and len(listener.got.get(AFFECT, [])) >= 4)
    everyone = family(live)
    os.close(terminal)  # the kernel sends SIGHUP, and writing fails with EIO
    assert live.wait(30) == 0
    assert gone(everyone)
    listener.until(lambda: "stopping" in [m["kind"] for m in listener.got.get(NOTIFY, [])])
    assert listener.got[NOTIFY][-1]["kind"] == "stopping"
    messages = list(recording.read(record))
    assert messages[-1].payload["kind"] == "stopping"
    estimates = sum(message.topic == AFFECT for message in messages)
    assert [len(stream) for stream in gap_trace.read(gaps)] == [estimates]
    assert picture.stat().st_size > 0
    assert not list(tmp_path.glob("*.partial"))


def test_a_paused_terminal_holds_up_no_estimate_and_no_end(
    address: str, listener: Listener
) -> None:
    terminal, inside = pty.openpty()
    live = subprocess.Popen(command(address), stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    os.set_blocking(terminal, False)
    listener.until(lambda: drained(terminal) and len(listener.got.get(AFFECT, [])) >= 2)
    os.write(terminal, b"\x13")  # Ctrl-S
    try:
        before = len(listener.got[AFFECT])
        listener.estimates(before + 20)
        numbers = [estimate["seq"] for estimate in listener.got[AFFECT]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        times = [estimate["t_ns"] for estimate in listener.got[AFFECT]]
        assert set(np.diff(times)) == {250_000_000}  # no step was left out
        live.terminate()
        assert live.wait(30) == 0
    finally:
        live.kill()
        os.close(terminal)


def take_terminal() -> None:
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def drained(terminal: int) -> bool:
    """Read what is shown, as a terminal does."""
    try:
        while os.read(terminal, 65536):
            pass
    except BlockingIOError:
        return True
    return False


def test_a_killed_session_leaves_no_process_and_whole_lines(
    address: str, listener: Listener, tmp_path: Path
) -> None:
    record, gaps = tmp_path / "a.jsonl", tmp_path / "gaps.jsonl"
    live = subprocess.Popen(
        command(address, "--record", record, "--record-gaps", gaps),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    listener.until(lambda: gaps.exists() and gaps.read_text().count("\n") >= 4)
    everyone = family(live)
    live.kill()
    live.wait(10)
    assert gone(everyone)
    (stream,) = gap_trace.read(gaps)
    assert len(stream) >= 4
    assert not record.exists()
    partial = list(recording.read(tmp_path / "a.jsonl.partial"))
    assert sum(message.topic == AFFECT for message in partial) >= 16
    Publisher(address).close()  # the port is free


HUNG = """
import sys, threading, time
from normtr import cli
threading.Thread(target=time.sleep, args=(600,)).start()
sys.argv = ["normtr", "live", "--source", "none.mp4"]
cli.main()
"""


def test_a_thread_that_hangs_does_not_keep_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HUNG], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "normtr live: there is no file 'none.mp4'.\n"


def test_kill_9_of_the_microphone_or_of_its_session_leaves_nothing_behind(
    address: str, listener: Listener
) -> None:
    def kinds() -> list[str]:
        every = [message["kind"] for message in listener.got.get(NOTIFY, [])]
        return [kind for kind in every if kind.startswith("device")]

    words = ("--face", "off", "--text", "off", "--microphone", "default")
    with SoundServer() as server:
        live = subprocess.Popen(
            [sys.executable, "-m", "normtr", "live", "--bind", address, *words],
            env=server.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        listener.estimates(4)
        (reader,) = psutil.Process(live.pid).children()
        reader.kill()
        listener.until(lambda: kinds() == ["device_lost", "device_back"])
        everyone = family(live)
        assert reader not in everyone
        assert len(everyone) == 2
        live.kill()
        live.wait(10)
        assert gone(everyone)
        command = ["pactl", "list", "short", "source-outputs"]
        listening = subprocess.run(command, env=server.env, capture_output=True, check=True)
        assert listening.stdout == b""


def idle(address: str) -> subprocess.Popen[str]:
    """A subscriber that reads one message and then none any more."""
    return subprocess.Popen(
        [sys.executable, "-c", IDLE, address], stdout=subprocess.PIPE, text=True
    )


def test_closed_outputs_and_subscribers_that_die_or_hang_change_nothing(
    address: str, listener: Listener
) -> None:
    live = subprocess.Popen(command(address), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert live.stdout is not None
    assert live.stderr is not None
    live.stdout.close()
    live.stderr.close()
    killed, stopped = idle(address), idle(address)
    try:
        for subscriber in (killed, stopped):
            assert subscriber.stdout is not None
            assert subscriber.stdout.readline() == "in\n"
        killed.kill()
        stopped.send_signal(signal.SIGSTOP)
        listener.estimates(1)
        listener.estimates(len(listener.got[AFFECT]) + 12)
        seqs = [payload["seq"] for payload in listener.got[AFFECT]]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))
        live.terminate()
        assert live.wait(20) == 0
    finally:
        for process in (killed, stopped, live):
            process.kill()
            process.wait()


def test_a_stopped_subscriber_costs_a_bounded_amount_of_memory(address: str) -> None:
    publisher = Publisher(address)
    stopped = idle(address)
    try:
        message = Message(INFO, {"ballast": "x" * 2000})
        assert stopped.stdout is not None
        os.set_blocking(stopped.stdout.fileno(), False)
        for _ in range(600):
            publisher.send(message)
            if stopped.stdout.readline() == "in\n":
                break
            time.sleep(0.05)
        stopped.send_signal(signal.SIGSTOP)
        before = psutil.Process().memory_info().rss
        for _ in range(30_000):  # 60 MB
            publisher.send(message)
        assert psutil.Process().memory_info().rss - before < 25e6
    finally:
        stopped.kill()
        stopped.wait()
        publisher.close()


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket of a service manager, for this process and those it starts."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one,
    ):
        one.bind(f"{folder}/notify")
        one.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", f"{folder}/notify")
        yield one


def waiting(manager: socket.socket) -> list[bytes]:
    """What lies in the socket now."""
    found = []
    while select.select([manager], [], [], 0)[0]:
        found.append(manager.recv(1000))
    return found


def test_a_service_manager_is_told_of_every_estimate_and_only_then(
    address: str, manager: socket.socket
) -> None:
    live = subprocess.Popen(
        command(address), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert manager.recv(1000) == b"READY=1\nWATCHDOG=1"
        assert [manager.recv(1000) for _ in range(5)] == [b"WATCHDOG=1"] * 5
        live.send_signal(signal.SIGSTOP)
        time.sleep(0.3)
        waiting(manager)
        time.sleep(1.0)
        assert not waiting(manager)
        live.send_signal(signal.SIGCONT)
        assert manager.recv(1000) == b"WATCHDOG=1"
        live.terminate()
        _, said = live.communicate(timeout=30)
    finally:
        live.kill()
        live.wait()
    assert live.returncode == 0
    assert waiting(manager)[-1] == b"STOPPING=1"
    assert "%" not in said  # no estimate in the journal


def test_sockets_without_a_file_and_dead_or_full_ones(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10_000):
        sd_notify.tell("WATCHDOG=1")  # full, it does not wait
    assert waiting(manager)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
        abstract.bind(f"\0normtr-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@normtr-{os.getpid()}")
        sd_notify.tell("READY=1")
        assert waiting(abstract) == [b"READY=1"]
    sd_notify.tell("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    sd_notify.tell("READY=1")
    assert not sd_notify.wanted()
