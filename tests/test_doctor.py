"""`normtr doctor` beside real virtual devices: what it sees, hears, misses, and that it ends."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import pytest

from stream.commands import doctor
from stream.overlay import qt_libraries
from stream.session.session import DEMO
from stream.views import findings
from tests.support import clips
from tests.support.sound_server import SoundServer

pytestmark = pytest.mark.slow

RUNS = """if True:
    import sys
    from stream.commands.doctor import run
    for line in sys.stdin:
        status = run(["--json", "--camera", sys.argv[1]])
        print(status, flush=True)
    """


def by_name(output: str) -> dict[str, dict[str, Any]]:
    return {finding["what"]: finding for finding in json.loads(output)["findings"]}


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """60 s of 440 Hz with amplitude 0.1: peak -20 dBFS, level -23 dBFS."""
    return clips.write_wav(tmp_path / "tone.wav", clips.tone(44_100, 60, level=0.1), 44_100)


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    """The first 3 s of the demo clip, where nothing covers the face."""
    path = tmp_path / "portrait.mp4"
    with av.open(str(DEMO)) as clip, av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25, options={"qscale": "3"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for frame in itertools.islice(clip.decode(video=0), 75):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"))))
        out.mux(stream.encode())
    return path


def test_doctor_sees_hears_and_never_hangs(tone: Path, portrait: Path) -> None:
    """One process asked three times: with a tone, in silence, before a server that hangs."""
    with SoundServer() as server:
        process = subprocess.Popen(
            [sys.executable, "-c", RUNS, str(portrait)],
            env=server.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None

        def ask() -> dict[str, dict[str, Any]]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            return by_name(process.stdout.readline())

        try:
            with subprocess.Popen(["paplay", tone], env=server.env) as player:
                found = ask()
                player.kill()
            assert process.stdout.readline() == "0\n"
            microphone = found["microphone"]
            assert microphone["state"] == "ok"
            assert microphone["figures"]["rate_hz"] == 44_100
            assert abs(microphone["figures"]["level_dbfs"] + 23) < 0.5
            assert abs(microphone["figures"]["peak_dbfs"] + 20) < 0.5
            assert len(microphone["figures"]["levels_dbfs"]) == 40
            assert found["sound inputs"]["figures"]["inputs"]
            monitor = found["microphone Monitor of Null Output"]  # the others are heard, too
            assert abs(monitor["figures"]["level_dbfs"] + 23) < 0.5
            seen = found[f"camera {portrait}"]["figures"]
            assert (seen["width"], seen["height"], seen["faces"]) == (640, 360, 1)
            assert 20 < seen["brightness"] < 235
            assert {found[name]["state"] for name in ("packages", "libraries", "models")} == {"ok"}

            time.sleep(0.3)
            silent = ask()["microphone"]
            assert process.stdout.readline() == "0\n"
            assert silent["state"] == "warning"
            assert "exact zeros" in silent["detail"]

            server.stall()
            began = time.monotonic()
            hung = ask()["microphone"]
            assert hung["state"] == "warning"
            assert "did not answer" in hung["detail"]
            assert process.stdout.readline() == "0\n"
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(timeout=10) == 0
            assert time.monotonic() - began < 15
        finally:
            server.go_on()
            process.kill()
            process.wait()


def stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a thread hangs in a driver doctor leaves the process: not this one."""
    monkeypatch.setattr(os, "_exit", lambda status: None)


def test_what_is_missing_comes_with_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "SHIPPED", tmp_path)
    monkeypatch.setitem(qt_libraries.QT_LIBRARIES, "libxcb-none.so.0", "libxcb-none0")
    stay(monkeypatch)
    with socket.socket() as taken:
        with contextlib.suppress(OSError):  # then somebody else has it
            taken.bind(("127.0.0.1", 5577))
            taken.listen()
        status = doctor.run(["--json", "--camera", "99", "--microphone", "no such thing"])
    assert status == 1
    out = capsys.readouterr().out
    assert json.loads(out)["ok"] is False
    found = by_name(out)
    assert found["recognizer"]["state"] == "missing"
    assert "make weights" in found["recognizer"]["fix"]
    assert found["overlay"]["state"] == "warning"
    assert found["overlay"]["fix"].endswith("apt-get install -y libxcb-none0")
    # Devices may be missing, and ports are a matter of an option.
    for what, fix in (("camera 99", "--camera"), ("microphone", "--microphone")):
        assert found[what]["state"] == "warning"
        assert fix in found[what]["fix"]
    assert found["port 5577"]["state"] == "warning"
    assert "--bind" in found["port 5577"]["fix"]


def test_the_table_shows_a_small_picture(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # a long path must not wrap
    stay(monkeypatch)
    doctor.run(["--camera", str(DEMO), "--microphone", "no such thing"])
    out = capsys.readouterr().out
    assert "640 x 360" in out
    assert any(line.count("▀") == findings.PICTURE_COLUMNS for line in out.splitlines())
    assert "→" in out
