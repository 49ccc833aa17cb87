"""Typed configs: a dataclass filled from TOML files and dotted command-line options."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from jsonargparse import ArgumentParser

from normtr.errors import UsageError

T = TypeVar("T")


def parse(kind: type[T], argv: Sequence[str], prog: str, positional: Sequence[str] = ()) -> T:
    """Fill the dataclass `kind` from `--config FILE.toml` (repeatable) and `--field value`.

    `positional` names fields that are given without an option. A bare `--flag` means true.
    Raises UsageError with one sentence; `--help` prints and exits 0.
    """
    parser = ArgumentParser(
        prog=f"normtr {prog}",
        description=(kind.__doc__ or "").strip().splitlines()[0],
        parser_mode="toml",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="a TOML file; later options override it")
    parser.add_class_arguments(kind, skip=set(positional) or None)
    for name in positional:
        parser.add_argument(name, type=str)
    known = sorted(
        {o[2:] for action in parser._actions for o in action.option_strings if o.startswith("--")}
    )
    argv = _named_configs(_explicit_flags(argv, _flags(parser)))
    try:
        values = parser.instantiate(parser.parse_args(argv))
    except (argparse.ArgumentError, argparse.ArgumentTypeError, ValueError, TypeError) as error:
        raise UsageError(_sentence(str(error), known, prog)) from None
    fields = {key: value for key, value in vars(values).items() if key != "config"}
    return kind(**fields)


def _flags(parser: ArgumentParser) -> set[str]:
    return {
        option
        for action in parser._actions
        if getattr(action, "_typehint", None) is bool
        for option in action.option_strings
    }


def _explicit_flags(argv: Sequence[str], flags: set[str]) -> list[str]:
    out = []
    for here, after in zip(argv, [*argv[1:], "--"], strict=True):
        bare = here in flags and after.lower() not in ("true", "false")
        out.append(f"{here}=true" if bare else here)
    return out


def _named_configs(argv: list[str]) -> list[str]:
    """Refuse a config file that is not there by its name (the parser would say 'invalid')."""
    for here, after in zip(argv, [*argv[1:], ""], strict=True):
        path = here.removeprefix("--config=") if here.startswith("--config=") else after
        if here.split("=")[0] == "--config" and not Path(path).is_file():
            raise UsageError(f"there is no config file {path!r}")
    return argv


def _sentence(message: str, known: Sequence[str], prog: str) -> str:
    """The parser's complaint in one line, with the nearest known key where a key is unknown."""
    unknown = (
        re.search(r"unrecognized arguments: (?:--)?([^\s=]+)", message)
        or re.search(r"[Oo]ption '([^']+)' is not accepted", message)
        or re.search(r"Key '([^']+)' is not expected", message)
    )
    nested = re.search(r"Group '([^']+)' does not accept option '([^']+)'", message)
    if unknown or nested:
        key = f"{nested[1]}.{nested[2]}" if nested else unknown[1] if unknown else ""
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"`normtr {prog} --help` lists them."
        return f"unknown key {key!r}; {hint}"
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    given = next((line for line in lines if line.startswith("Given value:")), "")
    return f"{lines[0].rstrip(':')}{': ' + given if given else ''}"
