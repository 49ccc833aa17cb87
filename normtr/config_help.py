"""The text of `--help` for a config's fields, in words for people instead of Python types."""

from __future__ import annotations

from argparse import SUPPRESS, Action
from collections.abc import Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from jsonargparse import DefaultHelpFormatter

_PLACES = {bool: "[true|false]", int: "N", float: "NUMBER", str: "TEXT", Path: "PATH"}


def place(hint: Any) -> str:
    """Return the placeholder for a value of this type: `NUMBER`, `on|off`, `[TEXT, ...]`.

    A class becomes `CLASS`.
    """
    kind, inner = get_origin(hint), [arg for arg in get_args(hint) if arg is not NoneType]
    if kind is Literal:
        return "|".join(map(str, inner))
    if kind in (tuple, list):
        return f"[{place(inner[0])}, ...]"
    if kind is dict:
        return "TABLE"
    if inner:  # one of several, or none
        return place(inner[0])
    return _PLACES.get(hint, "CLASS")


def usage(prog: str, actions: Sequence[Action]) -> str:
    """Return one usage line with the arguments that must be given."""
    options = [
        f"{a.option_strings[0]} {_place(a)}" for a in actions if a.option_strings and a.required
    ]
    words = [f"{a.dest}{'...' if a.nargs else ''}" for a in actions if not a.option_strings]
    return " ".join([prog, *words, *options, "[options]"])


class Help(DefaultHelpFormatter):
    """Formats each option with a placeholder for its value, and with its default if it has one."""

    def _metavar_formatter(self, action: Action, default_metavar: str) -> Any:
        return lambda size: (_place(action) if action.option_strings else action.dest,) * size

    def _get_help_string(self, action: Action) -> str:
        text = (action.help or "").strip()
        if getattr(action, "_jsonargparse_preexpanded_help", False):
            return text
        if action.dest.endswith(".help"):
            return "List the options of such a class and exit."
        if action.metavar == "CONFIG":  # of a section
            return "A TOML file with the following."
        if action.required and action.option_strings:
            return f"{text} (required)".strip()
        if not action.option_strings or _is_nothing(action.default):
            return text
        return f"{text} (default: {_shown(action.default)})".strip()


def _place(action: Action) -> str:
    hint = getattr(action, "_typehint", None)
    if action.dest.endswith(".help"):
        return "CLASS"
    return "FILE" if hint is None else place(hint)


def _is_nothing(default: Any) -> bool:
    return default is None or default is False or default in (SUPPRESS, "", (), [], {})


def _shown(default: Any) -> str:
    if default is True:
        return "true"
    if isinstance(default, float):
        return f"{default:g}"
    if isinstance(default, tuple | list):
        return ", ".join(map(_shown, default))
    return str(default)
