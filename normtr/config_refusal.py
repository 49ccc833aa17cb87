"""Turns the parser's complaints into one sentence that names the nearest key for an unknown one."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from typing import Any, get_type_hints

_NOUNS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "Path": "a path",
    "tuple": "a list",
    "list": "a list",
    "dict": "a table",
}


def sentence(message: str, known: Sequence[str], prog: str) -> str:
    """Turn jsonargparse's `message` into one sentence.

    `known` are the dotted keys of the parser, and `prog` is the verb.
    """
    message = _of_optional_class(message)
    if given := re.search(r"unrecognized arguments: (?!--\w)(\S+)", message):
        return f"unexpected argument {given[1]!r}; `normtr {prog} --help` lists what there is."
    within = ".".join(dict.fromkeys(re.findall(r'Parser key "([^"]+)"', message)))
    if key := _unknown(message):
        prefix = f"{within}." if within else ""
        near = _nearest(prefix + key, [*known, *(prefix + field for field in _of_class(message))])
        hint = f"did you mean {near!r}?" if near else f"`normtr {prog} --help` lists them."
        return f"unknown key {prefix + key!r}; {hint}"
    if missing := re.search(r"arguments are required: (\w+)", message):
        return f"{'--' if missing[1] in known else ''}{missing[1]} is needed."
    if bare := re.search(r"argument (\S+): expected one argument", message):
        return f"{bare[1]} needs a value."
    if within and re.search("is a protocol$", message, re.MULTILINE):
        return f"{within!r} needs a class_path, which says what class it is."
    kinds = re.findall(r"Expected a (?:<class '(?:\w+\.)*|typing\.)(\w+(?:\[[^]]*])?)", message)
    values = re.findall(r"(?:Got|Given) value: (.*)", message)
    if within and kinds and values:
        wanted = " or ".join(dict.fromkeys(_noun(kind) for kind in kinds if kind != "NoneType"))
        return f"{within!r} must be {wanted}, not {values[-1]}."
    last = [line.strip(" -") for line in message.splitlines() if line.strip(" -")][-1]
    return f"{within!r}: {last}." if within else f"{last}."


def _of_optional_class(message: str) -> str:
    """What was wrong with a class that may also be left out, without saying that it is not None."""
    found = re.search(r"Errors:\n(.*)\n\s*- Expected a <class 'NoneType'>", message, re.DOTALL)
    if found is None or "- Expected a" in found[1] or found[1].count("\n  - ") > 0:
        return message
    key = re.match(r'Parser key "[^"]+":\n', message)
    return (key[0] if key else "") + found[1]


def _unknown(message: str) -> str:
    """Return the unknown key, relative to the class that the message is about; empty if there is
    none."""
    if nested := re.search(r"Group '([^']+)' does not accept option '([^']+)'", message):
        return f"{nested[1]}.{nested[2]}"
    found = (
        re.search(r"unrecognized arguments: --([^\s=]+)", message)
        or re.search(r"[Oo]ption '([^']+)' is not accepted", message)
        or re.search(r"Key '([^']+)' is not expected", message)
    )
    return found[1] if found else ""


def _nearest(key: str, known: Sequence[str]) -> str:
    """Return the known key most like `key`, or one with a like first part; empty if none."""
    if near := difflib.get_close_matches(key, known, n=1, cutoff=0.5):
        return near[0]
    first, dot, rest = key.partition(".")
    firsts = {name.partition(".")[0] for name in known} if dot else set()
    near = difflib.get_close_matches(first, sorted(firsts), n=1, cutoff=0.7)
    return f"{near[0]}.{rest}" if near else ""


def _of_class(message: str) -> list[str]:
    """Return the fields of the innermost class that the config names by `class_path`."""
    found = re.findall(r"Problem with given class_path '([\w.]+)\.(\w+)'", message)
    if not found:
        return []
    module, name = found[-1]
    return list(_fields(getattr(importlib.import_module(module), name)))


def _fields(kind: Any) -> Iterator[str]:
    """Yield the dotted names of a class's fields, and of the dataclasses among them."""
    hints = get_type_hints(kind) if is_dataclass(kind) else {}
    for name in inspect.signature(kind).parameters:
        yield name
        if is_dataclass(hint := hints.get(name)):
            yield from (f"{name}.{inner}" for inner in _fields(hint))


def _noun(kind: str) -> str:
    """Turn a type, as complaints name it, into words for what a value must be."""
    choices = re.findall(r"'([^']*)'", kind)
    if choices:
        return " or ".join(filter(None, [", ".join(choices[:-1]), choices[-1]]))
    return _NOUNS.get(kind.partition("[")[0], kind)
