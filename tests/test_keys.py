"""CURVE keys: their files, and that only known clients get through."""

from __future__ import annotations

import stat
import subprocess
import sys
import time
from pathlib import Path

import msgpack
import pytest
import zmq
import zmq.auth

from normtr.errors import UserError
from stream.commands import keys
from stream.publish import curve_keys
from stream.publish.control import ControlServer
from stream.publish.publisher import Publisher
from stream.wire import AFFECT, Message
from tests.support.ports import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert keys.run(["--folder", str(tmp_path / "keys")]) == 0
    return tmp_path / "keys"


def new_client(folder: Path, name: str) -> Path:
    out = folder.parent / f"{name}.secret"
    assert keys.run(["--folder", str(folder), "--allow", name, "--out", str(out)]) == 0
    return out


def open_port() -> str:
    """An address that other machines could reach."""
    return free_port().replace("127.0.0.1", "0.0.0.0")


def arm(socket: zmq.Socket[bytes], folder: Path, pair: Path | None) -> None:
    """As a client does with the server's public key and its own pair."""
    public, secret = zmq.curve_keypair() if pair is None else zmq.auth.load_certificate(pair)
    assert secret is not None
    server, nothing = zmq.auth.load_certificate(folder / "server.key")
    assert nothing is None
    socket.setsockopt(zmq.CURVE_SERVERKEY, server)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, secret)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_made_once_and_can_be_read_by_nobody_else(folder: Path) -> None:
    secret = folder / "server.key_secret"
    assert mode(secret) == 0o600
    assert mode(folder) == 0o700
    made = secret.read_bytes()
    assert keys.run(["--folder", str(folder)]) == 0
    assert secret.read_bytes() == made
    pair = new_client(folder, "desk")
    assert mode(pair) == 0o600
    assert b"secret" not in (folder / "clients" / "desk.key").read_bytes()
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "desk.key",
        "server.key",
        "server.key_secret",
    ]


def test_the_list_of_clients_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    public = "-" + zmq.curve_keypair()[0].decode()[1:]  # as one of 85 keys begins
    assert keys.run(["--folder", str(folder), "--allow", "lab", "--key", public]) == 0
    new_client(folder, "desk")
    assert public in capsys.readouterr().out
    assert set(curve_keys.clients(folder)) == {"lab", "desk"}
    assert keys.run(["--folder", str(folder), "--revoke", "lab"]) == 0
    assert set(curve_keys.clients(folder)) == {"desk"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--allow", "../x"), "no name"),
        (("--allow", "x", "--key", "short"), "no public key"),
        (("--allow", "x", "--key", "\x00" * 40), "no public key"),
        (("--allow", "desk"), "there already"),
        (("--revoke", "nobody"), "no client"),
        (("--key", "y"), "--allow"),
        (("--allow", "x", "--key", "y", "--out", "z"), "--out"),
    ],
)
def test_what_cannot_be_done_is_said(folder: Path, options: tuple[str, ...], says: str) -> None:
    new_client(folder, "desk")
    before = curve_keys.clients(folder)
    with pytest.raises(UserError, match=says):
        keys.run(["--folder", str(folder), *options])
    assert curve_keys.clients(folder) == before


def test_only_clients_on_the_list_receive_anything(folder: Path) -> None:
    address = open_port()
    publisher = Publisher(address, folder)
    near = address.replace("0.0.0.0", "127.0.0.1")
    with zmq.Context() as context:
        sockets = [context.socket(zmq.SUB) for _ in range(4)]
        known, stranger, plain, spoofed = sockets
        arm(known, folder, new_client(folder, "desk"))  # while the publisher runs
        arm(stranger, folder, None)
        arm(spoofed, folder, new_client(folder, "gone"))
        curve_keys.revoke(folder, "gone")
        for socket in sockets:
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(near)
            socket.subscribe("")
        until = time.monotonic() + 10
        while not known.poll(0) and time.monotonic() < until:
            publisher.send(Message(AFFECT, {}))
            time.sleep(0.05)
        for _ in range(20):
            publisher.send(Message(AFFECT, {}))
            time.sleep(0.05)
        assert known.poll(0)
        assert [socket.poll(0) for socket in (stranger, plain, spoofed)] == [0, 0, 0]
        for socket in sockets:
            socket.close()
    publisher.close()


def test_only_clients_on_the_list_can_ask_for_anything(folder: Path) -> None:
    address = open_port()
    asked: list[str] = []

    def note(who: str) -> dict[str, str]:
        asked.append(who)
        return {}

    control = ControlServer(address, folder)
    control.serve({"note": note})
    with zmq.Context() as context:
        for who, pair in (("stranger", None), ("desk", new_client(folder, "desk"))):
            with context.socket(zmq.REQ) as socket:
                socket.setsockopt(zmq.LINGER, 0)
                arm(socket, folder, pair)
                socket.connect(address.replace("0.0.0.0", "127.0.0.1"))
                socket.send(msgpack.packb({"verb": "note", "who": who}))
                assert bool(socket.poll(1500 if pair is None else 10_000)) is (pair is not None)
    control.close()
    assert asked == ["desk"]


def test_keys_that_others_can_read_are_not_used(folder: Path) -> None:
    (folder / "server.key_secret").chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        Publisher(open_port(), folder)


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff" * 100, b'public-key = "x"\nsecret-key = "y"']
)
def test_keys_that_are_missing_or_damaged_are_named(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "server.key_secret").write_bytes(content)
    with pytest.raises(UserError, match="server"):
        Publisher(open_port(), tmp_path)


@pytest.mark.parametrize("option", ["--bind", "--control"])
def test_an_open_address_without_keys_is_refused_in_one_sentence(option: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "normtr", "live", option, "tcp://0.0.0.0:5599"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "CURVE" in done.stderr
    assert option in done.stderr
