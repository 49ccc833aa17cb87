"""The program: its verbs, its exit statuses, and sentences instead of tracebacks."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from normtr import cli
from normtr.errors import UsageError, UserError

INSTALLED = {point.name: point for point in entry_points(group="normtr.verbs")}
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
        (
            "package",
            1,
            "normtr package: the package 'lightning' is missing; "
            "type: pip install 'normtr[train]'\n",
        ),
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


def test_every_verb_says_in_a_line_what_it_is_for() -> None:
    lines = [line.split(maxsplit=1) for line in program("--help").stdout.splitlines()]
    told = {line[0]: line[1] for line in lines if len(line) == 2 and line[0] in INSTALLED}
    assert set(told) == set(INSTALLED)
    assert list(told) == [verb for verbs in cli.TASKS.values() for verb in verbs]


@pytest.mark.parametrize("verb", INSTALLED)
def test_the_help_of_a_verb_shows_no_python(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        INSTALLED[verb].load()(["--help"])
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: normtr {verb}")
    assert not re.search(r"<class|Union\[|Optional|Literal\[|\bnull\b|\bNone\b|\bPath\b", printed)


def test_bench_lists_what_it_measures() -> None:
    shown = program("bench", "--help")
    assert shown.returncode == 0
    assert {"live", "model", "wire"} <= {line.split(" ")[0] for line in shown.stdout.splitlines()}


def test_the_real_program_refuses_in_one_line() -> None:
    wrong = program("watch", "--adress", "tcp://127.0.0.1:1")
    assert wrong.returncode == 2
    assert wrong.stderr == "normtr watch: unknown key 'adress'; did you mean 'address'?\n"


@pytest.mark.parametrize("looked_at", [True, False])
def test_a_verb_that_loads_for_seconds_says_so_where_somebody_looks_on(
    looked_at: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train = EntryPoint("train", f"{__name__}:echo", "normtr.verbs")
    monkeypatch.setattr(cli, "entry_points", lambda group: [train])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: looked_at, raising=False)
    assert cli.run(["train", "a", "b"]) == 7
    said = "Loading what `normtr train` needs (up to 10 s)\n" if looked_at else ""
    assert capsys.readouterr().err == said
