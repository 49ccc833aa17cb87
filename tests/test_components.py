"""A missing component is a skipped test here and a failed one where CI=true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
NEEDY = """
from tests.support import components

def test_what_is_there():
    components.require("sh")

def test_what_is_not():
    components.require("sh", "no-such-program")
"""


@pytest.mark.parametrize(("ci", "status", "said"), [("", 0, "1 skipped"), ("true", 1, "1 failed")])
def test_without_its_program_a_test_is_skipped_and_fails_in_ci(
    ci: str, status: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "test_needy.py").write_text(NEEDY)
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == status, done.stdout
    assert said in done.stdout
    assert "1 passed" in done.stdout
    assert "no-such-program cannot be found; run .ci/system_libraries.sh test" in done.stdout


def test_the_run_of_ci_asks_for_everything() -> None:
    assert re.search(r"^export CI=true$", (ROOT / ".ci" / "run").read_text(), re.M)
