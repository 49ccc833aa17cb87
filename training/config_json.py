"""Turns configs into JSON and back, so that a run folder can say what it was made from."""

from __future__ import annotations

import importlib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from normtr.errors import UserError

OURS = ("training.", "normtr.")
"""Only classes of these packages are restored."""


def describe(config: Any) -> Any:
    """Return a dataclass as {"class_path": ..., "init_args": {...}}, and so all that is in it."""
    if is_dataclass(config):
        kind = type(config)
        return {
            "class_path": f"{kind.__module__}.{kind.__qualname__}",
            "init_args": {f.name: describe(getattr(config, f.name)) for f in fields(config)},
        }
    if isinstance(config, tuple | list):
        return [describe(value) for value in config]
    if isinstance(config, dict):
        return {key: describe(value) for key, value in config.items()}
    return str(config) if isinstance(config, Path) else config


def restore(described: Any) -> Any:
    """Return what `describe` was given; lists come back as tuples.

    Raises UserError for a class that is no dataclass of this program, or for fields that it does
    not take.
    """
    if isinstance(described, list):
        return tuple(restore(value) for value in described)
    if not isinstance(described, dict):
        return described
    if set(described) != {"class_path", "init_args"}:
        return {key: restore(value) for key, value in described.items()}
    path = str(described["class_path"])
    try:
        if not path.startswith(OURS):
            raise ValueError(f"{path} is none of our classes")
        module, _, name = path.rpartition(".")
        kind = getattr(importlib.import_module(module), name)
        if not is_dataclass(kind) or not isinstance(kind, type):
            raise ValueError(f"{path} is no config")
        hints = get_type_hints(kind)
        given = {
            key: Path(value) if isinstance(value, str) and _path(hints.get(key)) else restore(value)
            for key, value in described["init_args"].items()
        }
        return kind(**given)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"the run's settings cannot be read: {error}.") from None


def _path(hint: Any) -> bool:
    return hint is Path or Path in get_args(hint)
