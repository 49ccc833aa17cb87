"""Typed configs: a dataclass filled from TOML files and dotted command-line options."""

from __future__ import annotations

import argparse
import difflib
import importlib
import inspect
import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser, set_parsing_settings

from normtr.errors import UsageError

set_parsing_settings(docstring_parse_attribute_docstrings=True)  # they become the --help

T = TypeVar("T")


class _Exact(ArgumentParser):
    """No abbreviations, nor in the parsers that it makes for the fields of named classes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **options})


def parse(kind: type[T], argv: Sequence[str], prog: str, positional: Sequence[str] = ()) -> T:
    """Fill the dataclass `kind` from `--config FILE.toml` (repeatable) and `--field value`.

    `positional` names fields that are given without an option; a list takes one or more words.
    A bare `--flag` means true; a field that is one string or several takes an option for each.
    Raises UsageError with one sentence; `--help` prints and exits 0.
    """
    parser = _Exact(
        prog=f"normtr {prog}",
        description=(kind.__doc__ or "").strip().splitlines()[0],
        parser_mode="toml",
        exit_on_error=False,
        print_config=None,
    )
    parser.add_argument("--config", action="config", help="a TOML file; later options override it")
    parser.add_class_arguments(kind, skip=set(positional) or None)
    for name in positional:
        several = get_origin(get_type_hints(kind)[name]) is list
        parser.add_argument(name, type=str, nargs="+" if several else None)
    known = sorted(
        {o[2:] for action in parser._actions for o in action.option_strings if o.startswith("--")}
    )
    for path in configs(argv):
        _check_config(path, known)
    argv = [_as_field(word, known) for word in argv]
    argv = _explicit_flags(argv, _flags(parser))
    for name, hint in get_type_hints(kind).items():
        if {str, tuple[str, ...]} <= set(get_args(hint)):
            argv = _gathered(argv, f"--{name}")
    try:
        values = parser.instantiate(parser.parse_args(argv))
    except (argparse.ArgumentError, argparse.ArgumentTypeError, ValueError, TypeError) as error:
        raise UsageError(_sentence(str(error), known, prog)) from None
    fields = {key: value for key, value in vars(values).items() if key != "config"}
    try:
        return kind(**fields)
    except ValueError as error:  # what its __post_init__ says
        raise UsageError(f"{error}.") from None


def _flags(parser: ArgumentParser) -> set[str]:
    return {
        option
        for action in parser._actions
        if getattr(action, "_typehint", None) is bool
        for option in action.option_strings
    }


def _as_field(word: str, known: Sequence[str]) -> str:
    """`--mask-stage` as the field is written, `--mask_stage`, where there is one."""
    option, equals, value = word.partition("=")
    field = option[2:].replace("-", "_")
    return f"--{field}{equals}{value}" if option.startswith("--") and field in known else word


def _explicit_flags(argv: Sequence[str], flags: set[str]) -> list[str]:
    out = []
    for here, after in zip(argv, [*argv, "--"][1:], strict=True):
        bare = here in flags and after.lower() not in ("true", "false")
        out.append(f"{here}=true" if bare else here)
    return out


def _gathered(argv: Sequence[str], option: str) -> list[str]:
    """An option that is given several times, once with all its values."""
    rest, values = [], []
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name != option:
            rest.append(word)
        elif (given := value if equals else next(words, None)) is not None:
            values.append(given)
    if len(values) < 2:
        return list(argv)
    return [*rest, f"{option}={json.dumps(values, ensure_ascii=False)}"]


def configs(argv: Sequence[str]) -> list[Path]:
    """The files that `--config` names."""
    paths = [word.removeprefix("--config=") for word in argv if word.startswith("--config=")]
    for here, after in zip(argv, [*argv, ""][1:], strict=True):
        if here == "--config":
            paths.append("" if after.startswith("--") else after)
    if "" in paths:
        raise UsageError("--config needs a file.")
    return [Path(path) for path in paths]


def _check_config(path: Path, known: Sequence[str]) -> None:
    """Refuse by its name what the parser would not name: a file that is no TOML, a flat section."""
    if not path.is_file():
        raise UsageError(f"there is no config file {str(path)!r}.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the config file {path} cannot be read: {error}.") from None
    for key, value in content.items():
        is_section = any(name.startswith(f"{key}.") for name in known)
        if is_section and not isinstance(value, dict | str):
            raise UsageError(f"{key!r} in {path} is a section [{key}], not {value!r}.")


def _sentence(message: str, known: Sequence[str], prog: str) -> str:
    """The parser's complaint in one line, with the nearest known key where a key is unknown."""
    if given := re.search(r"unrecognized arguments: (?!--\w)(\S+)", message):
        return f"unexpected argument {given[1]!r}; `normtr {prog} --help` lists what there is."
    unknown = (
        re.search(r"unrecognized arguments: --([^\s=]+)", message)
        or re.search(r"[Oo]ption '([^']+)' is not accepted", message)
        or re.search(r"Key '([^']+)' is not expected", message)
    )
    nested = re.search(r"Group '([^']+)' does not accept option '([^']+)'", message)
    if unknown or nested:
        key = f"{nested[1]}.{nested[2]}" if nested else unknown[1] if unknown else ""
        near = difflib.get_close_matches(key, [*known, *_of_class(message)], n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"`normtr {prog} --help` lists them."
        return f"unknown key {key!r}; {hint}"
    if missing := re.search(r"arguments are required: (\w+)", message):
        return f"{'--' if missing[1] in known else ''}{missing[1]} is needed."
    if bare := re.search(r"argument (\S+): expected one argument", message):
        return f"{bare[1]} needs a value."
    key = ".".join(dict.fromkeys(re.findall(r'Parser key "([^"]+)"', message)))
    kinds = re.findall(r"Expected a (?:<class '(?:\w+\.)*|typing\.)(\w+(?:\[[^]]*])?)", message)
    values = re.findall(r"(?:Got|Given) value: (.*)", message)
    if key and kinds and values:
        wanted = " or ".join(dict.fromkeys(kinds)).replace("NoneType", "null")
        return f"{key!r} must be {wanted}, not {values[-1]}."
    last = [line.strip(" -") for line in message.splitlines() if line.strip(" -")][-1]
    return f"{key!r}: {last}." if key else f"{last}."


def _of_class(message: str) -> list[str]:
    """What the class takes that a config names by `class_path`."""
    found = re.search(r"Problem with given class_path '([\w.]+)\.(\w+)'", message)
    if not found:
        return []
    return list(inspect.signature(getattr(importlib.import_module(found[1]), found[2])).parameters)
