"""The program: its verbs, its exit statuses, and sentences instead of tracebacks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from normtr import cli
from normtr.errors import UsageError, UserError

PROGRAM = Path(sys.executable).with_name("normtr")
ERRORS: dict[str, BaseException] = {
    "user": UserError("clip.mp4 is empty."),
    "usage": UsageError("--name needs a value."),
    "interrupt": KeyboardInterrupt(),
    "defect": RuntimeError("two\nlines"),
    "package": ModuleNotFoundError("No module named 'lightning'", name="lightning"),
}


def raises(name: str) -> Callable[[list[str]], int]:
    def verb(argv: list[str]) -> int:
        raise ERRORS[name]

    return verb


user, usage, interrupt, defect, package = (raises(name) for name in ERRORS)


def echo(argv: list[str]) -> int:
    print(argv)
    return 7


@pytest.fixture(autouse=True)
def verbs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program with verbs of ours, found as installed ones are."""
    names = ("echo", *ERRORS)
    points = [EntryPoint(name, f"{__name__}:{name}", "normtr.verbs") for name in names]
    monkeypatch.setattr(cli, "entry_points", lambda group: points)


def test_a_verb_gets_its_arguments_and_gives_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["echo", "--a", "b", "--debug"]) == 7
    assert capsys.readouterr().out == "['--a', 'b']\n"


@pytest.mark.parametrize(
    ("verb", "status", "said"),
    [
        ("user", 1, "normtr user: clip.mp4 is empty.\n"),
        ("usage", 2, "normtr usage: --name needs a value.\n"),
        ("interrupt", 130, ""),
        ("package", 1, "normtr package: the package 'lightning' is missing; run `make install`.\n"),
        (
            "defect",
            1,
            "normtr defect: failed unexpectedly (RuntimeError: two lines); "
            "run again with --debug to see where.\n",
        ),
        (
            "nothing",
            2,
            f"normtr: no verb 'nothing'; there are: {', '.join(sorted(['echo', *ERRORS]))}\n",
        ),
    ],
)
def test_what_goes_wrong_is_a_status_and_one_line(
    capsys: pytest.CaptureFixture[str], verb: str, status: int, said: str
) -> None:
    assert cli.run([verb]) == status
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", said)


@pytest.mark.parametrize("verb", ["user", "usage", "package", "defect"])
def test_only_debug_shows_where(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    cli.run([verb, "--debug"])
    assert "Traceback" in capsys.readouterr().err


def test_help_is_printed_and_no_verb_at_all_is_wrong_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert [cli.run([word]) for word in ("--help", "-h", "help")] == [0, 0, 0]
    assert cli.run([]) == 2
    assert "echo" in capsys.readouterr().out.split()


def program(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *argv], capture_output=True, text=True, timeout=120)


def test_the_real_program_lists_the_verbs_of_every_package() -> None:
    shown = program("--help")
    assert shown.returncode == 0
    assert {"live", "watch", "bench", "train"} <= set(shown.stdout.split())


def test_the_real_program_refuses_in_one_line() -> None:
    wrong = program("watch", "--adress", "tcp://127.0.0.1:1")
    assert wrong.returncode == 2
    assert wrong.stderr == "normtr watch: unknown key 'adress'; did you mean 'address'?\n"
