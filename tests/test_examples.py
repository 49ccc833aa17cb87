"""The programs in `examples/`, as they stand there; the subscribers hear a replayed session."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.client import ADDRESS
from tests.support import components, messages, program
from tests.support.ports import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
MOST_LINES = 20


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where a session is replayed."""
    path, where = messages.write(tmp_path / "a.jsonl", messages.session(2000)), free_port()
    player = program.start(path, "--bind", where, "--speed", "10", verb="replay")
    yield where
    player.kill()
    player.communicate()


def lines(command: list[str], folder: Path, count: int) -> list[str]:
    """What the program prints first; it is killed then."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        found = [process.stdout.readline() for _ in range(count)]
    finally:
        process.kill()
        _, error = process.communicate()
    assert all(found), error
    return found


def test_the_python_subscriber_runs(address: str, tmp_path: Path) -> None:
    command = [sys.executable, "-u", str(EXAMPLES / "subscribe.py"), address]
    for line in lines(command, tmp_path, 3):
        assert line == "angry 0.4 False {'face': 'none', 'voice': 'none', 'text': 'none'}\n"


def typed(code: str, folder: Path) -> str:
    """What `mypy --strict` says of a program that lies outside the checkout."""
    (folder / "program.py").write_text(code)
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "program.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    ).stdout


def test_the_python_subscriber_passes_a_strict_type_checker(tmp_path: Path) -> None:
    assert "Success" in typed((EXAMPLES / "subscribe.py").read_text(), tmp_path)


def test_a_topic_says_what_arrives(tmp_path: Path) -> None:
    names = ["affect", "face", "frame", "health", "info", "notify", "text"]
    lines = [
        "from stream.client import subscribe, subscribe_async",
        "from stream.wire import NOTIFY",
    ]
    lines += [f"reveal_type(subscribe('er.v1.{name}', timeout_s=1))" for name in names]
    lines += [f"reveal_type(subscribe_async('er.v1.{name}'))" for name in names]
    lines += ["reveal_type(subscribe(NOTIFY).receive().kind)", "reveal_type(subscribe('er.v1.'))"]
    lines += ["subscribe('er.v1.affect').receive().word", "subscribe('er.v1.affect', adress='x')"]
    said = typed("\n".join(lines), tmp_path)
    kinds = [f"[stream.client.received.{name.capitalize()}]" for name in names]
    assert re.findall(r'Revealed type is "(.*)"', said) == [
        *(f"stream.client.subscription.Subscription{kind}" for kind in kinds),
        *(f"stream.client.subscription.AsyncSubscription{kind}" for kind in kinds),
        "str",
        "stream.client.subscription.Subscription[stream.client.received.Received]",
    ]
    assert re.findall(r"error: .*\[([a-z-]+)\]$", said, re.M)[:2] == [
        *("attr-defined", "call-overload")
    ]


def test_every_package_is_typed_where_it_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    data = project["tool"]["setuptools"]["package-data"]
    for package in ("normtr", "stream", "training"):
        assert (ROOT / package / "py.typed").is_file()
        assert "py.typed" in data[package]


def test_the_node_subscriber_runs_and_is_short(address: str, tmp_path: Path) -> None:
    code = (EXAMPLES / "subscribe.mjs").read_text()
    assert len(code.splitlines()) <= MOST_LINES
    assert ADDRESS in code
    components.require("node", "npm")
    (packages,) = re.findall(r"^// npm install (.*)$", code, re.M)
    installed = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", *packages.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    if installed.returncode:
        components.missing(f"npm cannot install {packages}: {installed.stderr[-300:]}")
    shutil.copy(EXAMPLES / "subscribe.mjs", tmp_path)
    for line in lines(["node", "subscribe.mjs", address], tmp_path, 3):
        assert line == "angry 0.40 false { face: 'none', voice: 'none', text: 'none' }\n"


def printed(name: str, *arguments: str) -> list[str]:
    """The lines that an example prints until it ends."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_clip_is_recognised_in_the_same_process() -> None:
    found = printed("in_process.py")
    assert len(found) == 100
    assert all(
        re.fullmatch(r"[a-z]+ 0\.\d\d \(face \d+%, voice .*, text .*\)", line) for line in found
    )


@pytest.mark.parametrize("name", ["own_dataset", "own_system"])
def test_own_data_and_an_own_system_are_trained(name: str, tmp_path: Path) -> None:
    found = printed(f"{name}.py", str(tmp_path))
    accuracies = [float(line.split()[-1]) for line in found]
    assert accuracies[0] > 0.9
    assert accuracies[-1] < 0.5  # nothing is left of the windows
    assert list(tmp_path.glob("*/model.safetensors"))


def test_every_example_is_shown_in_the_documentation() -> None:
    pages = "\n".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    for path in EXAMPLES.glob("*.*"):
        assert f'--8<-- "examples/{path.name}"' in pages
