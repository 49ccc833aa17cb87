"""Reads pickles of arrays in plain containers without running any code that a pickle may name."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from normtr.errors import UserError


def _latin1(text: str, encoding: str) -> bytes:
    """Return bytes that pickle protocols 0 to 2 wrote as text."""
    if encoding != "latin1":
        raise UserError(f"the pickle asks for the codec {encoding}, which holds no array.")
    return text.encode("latin1")


_ARRAY = np.zeros(1)
_OF_NUMPY: dict[str, Any] = {
    "multiarray._reconstruct": _ARRAY.__reduce__()[0],
    "multiarray.scalar": np.float32(0).__reduce__()[0],
    "numeric._frombuffer": _ARRAY.__reduce_ex__(5)[0],
}
ADMITTED: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "_codecs.encode": _latin1,
    # numpy 2 renamed its core, and files name either.
    **{
        f"numpy.{core}.{name}": call
        for core in ("core", "_core")
        for name, call in _OF_NUMPY.items()
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (call := ADMITTED.get(f"{module}.{name}")) is None:
            raise UserError(
                f"the pickle asks for {module}.{name}; only arrays and plain containers are read."
            )
        return call


def load(path: Path) -> Any:
    """Return what a pickle holds: numpy arrays, numbers and text in dicts, lists and tuples.

    Text of Python 2 is read as Latin-1. Raises UserError when the pickle cannot be read, or when it
    names anything else, which is then not imported.
    """
    try:
        with path.open("rb") as file:
            return _Unpickler(file, encoding="latin1").load()
    except UserError as error:
        raise UserError(f"{path} is refused: {error}") from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise UserError(f"{path} cannot be read as a pickle of arrays: {error}.") from None
