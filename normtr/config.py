"""Typed configs: a dataclass is filled from TOML files and dotted command-line options."""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser, set_parsing_settings

from normtr.config_help import Help, usage
from normtr.config_refusal import sentence
from normtr.errors import UsageError

set_parsing_settings(docstring_parse_attribute_docstrings=True)  # they become the --help

T = TypeVar("T")


class _Exact(ArgumentParser):
    """A parser that takes no abbreviations. The parsers that it makes for nested classes take none
    either."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, "formatter_class": Help, **options})


def parse(kind: type[T], argv: Sequence[str], prog: str, positional: Sequence[str] = ()) -> T:
    """Fill the dataclass `kind` from `--config FILE.toml` (repeatable) and `--field value`.

    `positional` names the fields that are given without an option; a list takes one or more words.
    A bare `--flag` means true. A field that is one string or several takes one option for each.
    Raises UsageError with one sentence; `--help` prints the help and exits with status 0.
    """
    parser = _parser(kind, prog, positional)
    known = _options(parser)
    for path in configs(argv):
        _check_sections(path, read(path), known)
    argv = [_as_field(word, known) for word in argv]
    argv = _explicit_flags(argv, _flags(parser))
    for name, hint in get_type_hints(kind).items():
        if {str, tuple[str, ...]} <= set(get_args(hint)):
            argv = _gathered(argv, f"--{name}")
    return _filled(kind, parser, lambda: parser.parse_args(argv), prog)


def build(kind: type[T], content: Mapping[str, Any], prog: str) -> T:
    """Fill the dataclass `kind` from what a config's TOML would hold.

    Raises UsageError with one sentence.
    """
    parser = _parser(kind, prog)
    return _filled(kind, parser, lambda: parser.parse_object(dict(content)), prog)


def _parser(kind: type[Any], prog: str, positional: Sequence[str] = ()) -> _Exact:
    description = (kind.__doc__ or "").strip().splitlines()[0]
    parser = _Exact(
        prog=f"normtr {prog}",
        description=description,
        parser_mode="toml",
        exit_on_error=False,
        print_config=None,
    )
    parser.add_argument("--config", action="config", help="a TOML file; later options override it")
    parser.add_class_arguments(kind, skip=set(positional) or None)
    for name in positional:
        several = get_origin(get_type_hints(kind)[name]) is list
        parser.add_argument(name, type=str, nargs="+" if several else None)
    parser.usage = usage(parser.prog, parser._actions)
    for group in parser._action_groups:
        if group.title == description.rstrip("."):
            group.title = None  # the description already says it
    return parser


def _options(parser: _Exact) -> list[str]:
    """The names of all options, without their dashes."""
    return sorted(
        {o[2:] for action in parser._actions for o in action.option_strings if o.startswith("--")}
    )


def _filled(kind: type[T], parser: _Exact, parsed: Callable[[], Any], prog: str) -> T:
    try:
        values = parser.instantiate(parsed())
    except (argparse.ArgumentError, argparse.ArgumentTypeError, ValueError, TypeError) as error:
        raise UsageError(sentence(str(error), _options(parser), prog)) from None
    fields = {key: value for key, value in vars(values).items() if key != "config"}
    try:
        return kind(**fields)
    except ValueError as error:  # from its __post_init__
        raise UsageError(f"{error}.") from None


def _flags(parser: ArgumentParser) -> set[str]:
    return {
        option
        for action in parser._actions
        if getattr(action, "_typehint", None) is bool
        for option in action.option_strings
    }


def _as_field(word: str, known: Sequence[str]) -> str:
    """Return `--mask-stage` as `--mask_stage`, the name of its field, if there is such a field."""
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
    """Merge an option that is given several times into one option with all its values."""
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
    """Return the files that `--config` names. Raises UsageError when one has no name."""
    paths = [word.removeprefix("--config=") for word in argv if word.startswith("--config=")]
    for here, after in zip(argv, [*argv, ""][1:], strict=True):
        if here == "--config":
            paths.append("" if after.startswith("--") else after)
    if "" in paths:
        raise UsageError("--config needs a file.")
    return [Path(path) for path in paths]


def read(path: Path) -> dict[str, Any]:
    """Read a config file. Raises UsageError where there is none, or it is no TOML."""
    if not path.is_file():
        raise UsageError(f"there is no config file {str(path)!r}.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the config file {path} cannot be read: {error}.") from None


def _check_sections(path: Path, content: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse by its name what the parser would not name: a section that is none."""
    for key, value in content.items():
        is_section = any(name.startswith(f"{key}.") for name in known)
        if is_section and not isinstance(value, dict | str):
            raise UsageError(f"{key!r} in {path} is a section [{key}], not {value!r}.")
