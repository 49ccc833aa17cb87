"""`normtr service`: the unit file, as systemd reads it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def service(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "normtr", "service", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=home,
        env={**os.environ, "XDG_CONFIG_HOME": str(home)},
    )


def test_the_unit_is_installed_whole_verified_and_removed(tmp_path: Path) -> None:
    name = '10 % $HOME "b" \\ c.jsonl'
    done = service("install", "--camera", "1", "--record-gaps", name, "--force", home=tmp_path)
    assert done.returncode == 0, done.stderr
    unit = tmp_path / "systemd" / "user" / "normtr.service"
    assert str(unit) in done.stderr
    text = unit.read_text()
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert settings["Type"] == "notify"
    assert settings["WorkingDirectory"] == str(tmp_path)
    words = shlex.split(settings["ExecStart"].replace("%%", "%").replace("$$", "$"))
    options = ["--camera", "1", "--record-gaps", name, "--force"]
    assert words == [sys.executable, "-P", "-m", "normtr", "live", *options]
    if shutil.which("systemd-analyze"):
        checked = subprocess.run(
            ["systemd-analyze", "verify", "--user", "--man=no", unit],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        )
        assert "normtr.service" not in checked.stderr, checked.stderr
        assert checked.returncode == 0, checked.stderr
    assert service("remove", home=tmp_path).returncode == 0
    assert not unit.exists()
    assert not list(unit.parent.glob("*"))


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["remove"], 1, "there is no"),
        (["start"], 2, "print"),
        (["print", "--camra", "1"], 2, "camera"),
        (["print", "--record", "a.jsonl"], 2, "--record would be refused"),
    ],
)
def test_refusals_are_one_sentence(
    tmp_path: Path, words: list[str], status: int, said: str
) -> None:
    done = service(*words, home=tmp_path)
    assert done.returncode == status
    assert done.stderr.startswith("normtr service: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout
