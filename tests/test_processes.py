"""Work over real processes, which may die, fail, or be told to stop."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from normtr.errors import UserError
from training import processes

pytestmark = pytest.mark.slow


class Odd:
    """Answers even numbers, dies of 3, cannot handle 5."""

    def __call__(self, number: int) -> int:
        if number == 3:
            os._exit(1)
        if number == 5:
            raise UserError("five.")
        return number * 10


def dies_at_once() -> Odd:
    os._exit(1)


def program(folder: Path, code: str) -> dict[str, Any]:
    """What `subprocess` is told to run that code, which can import what is tested."""
    path = folder / "program.py"
    path.write_text(code)
    return {
        "args": [sys.executable, str(path)],
        "stdout": subprocess.PIPE,
        "text": True,
        "env": {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    }


def test_a_process_that_dies_costs_its_own_piece_only() -> None:
    found = dict(processes.spread([0, 2, 3, 4, 6], Odd, 2))
    assert found == {0: 0, 2: 20, 3: None, 4: 40, 6: 60}


def test_what_a_process_raises_is_raised_and_ends_the_others() -> None:
    with pytest.raises(UserError, match=r"five\."):
        dict(processes.spread([0, 5, *range(6, 30, 2)], Odd, 2))
    assert not multiprocessing.active_children()


def test_a_process_that_cannot_start_is_one_sentence() -> None:
    with pytest.raises(UserError, match="ended while it was starting"):
        dict(processes.spread([0], dies_at_once, 1))


def test_ctrl_c_ends_all_processes_with_status_130(tmp_path: Path) -> None:
    code = """
import os, signal, sys, time, multiprocessing
from normtr import cli
from training import processes
def verb(argv):
    for done in processes.spread(range(1000), Slow, 2):
        if done[0] == 1:
            print(*[p.pid for p in multiprocessing.active_children()], flush=True)
            os.killpg(0, signal.SIGINT)
class Slow:
    def __call__(self, number):
        time.sleep(0.01)
class Point:
    name = "verb"
    def load(self): return verb
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # not ignored, as in a background job
    cli.verbs = lambda: {"verb": Point()}
    sys.exit(cli.run(["verb"]))
"""
    done = subprocess.run(
        **program(tmp_path, code),
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        start_new_session=True,
    )
    assert done.returncode == 130
    assert done.stderr == ""
    ids = done.stdout.split()
    assert len(ids) == 2
    assert not any(Path("/proc", pid).exists() for pid in ids)


def test_a_killed_program_leaves_no_process_at_its_piece(tmp_path: Path) -> None:
    code = """
import multiprocessing, time
from training import processes
class Slow:
    def __call__(self, number):
        print(multiprocessing.current_process().pid, flush=True)
        time.sleep(600)
if __name__ == "__main__":
    dict(processes.spread([1, 2], Slow, 2))
"""
    with subprocess.Popen(**program(tmp_path, code)) as parent:
        assert parent.stdout is not None
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
    psutil.wait_procs([psutil.Process(pid) for pid in workers if psutil.pid_exists(pid)], 20)
    assert not any(psutil.pid_exists(pid) for pid in workers)


def test_processes_that_are_done_leave_nothing_behind(tmp_path: Path) -> None:
    """A progress bar has a semaphore, of which Python would tell at the end."""
    code = """
from tqdm import tqdm
from training import processes
class Shown:
    def __call__(self, number):
        return sum(tqdm(range(number), disable=False))
if __name__ == "__main__":
    print(sorted(processes.spread([2, 3, 4], Shown, 2)))
"""
    done = subprocess.run(
        **program(tmp_path, code), stderr=subprocess.PIPE, timeout=60, check=False
    )
    assert done.stdout == "[(2, 1), (3, 3), (4, 6)]\n"
    assert "leaked" not in done.stderr
