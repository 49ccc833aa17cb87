"""Pickles are read without running what they ask for."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from normtr.errors import UserError
from training.data import arrays_only


class Evil:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.system, ("touch pwned",)


def dumped(path: Path, content: Any, protocol: int | None = None) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_plain_containers_come_back_of_every_protocol(
    tmp_path: Path, protocol: int
) -> None:
    content = {
        "rows": np.arange(6, dtype=np.float32).reshape(2, 3),
        "columns": np.asfortranarray(np.ones((2, 3))),
        "text": np.array(["a", "ä"]),
        "objects": np.array(["a", None], object),
        "bytes": b"\x00\xff",
        "plain": [(1, 2.5), "x", None, True, np.float32(2)],
    }
    got = arrays_only.load(dumped(tmp_path / "a.pkl", content, protocol))
    assert got.keys() == content.keys()
    for key in ("rows", "columns", "text", "objects"):
        assert got[key].dtype == content[key].dtype  # type: ignore[attr-defined]
        assert np.array_equal(got[key], content[key])  # type: ignore[arg-type]
    assert got["bytes"] == content["bytes"]
    assert got["plain"] == content["plain"]


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_numpys_old_and_new_module_names_are_read(tmp_path: Path, core: str) -> None:
    text = pickle.dumps(np.arange(3.0), 0).replace(b"numpy._core", core.encode())
    assert core.encode() in text
    (tmp_path / "a.pkl").write_bytes(text)
    assert np.array_equal(arrays_only.load(tmp_path / "a.pkl"), np.arange(3.0))


def test_text_of_python_2_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02}U\x05trainU\x01\xe9s.")
    assert arrays_only.load(tmp_path / "a.pkl") == {"train": "é"}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (Evil(), f"{os.system.__module__}.system"),
        ({"train": {"text": np.array([Evil()], object)}}, f"{os.system.__module__}.system"),
        (eval, "builtins.eval"),
        (Path("x"), "pathlib"),
    ],
)
def test_what_is_no_array_is_refused_by_name_and_never_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: Any, named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = dumped(tmp_path / "evil.pkl", content)
    with pytest.raises(UserError, match=rf"evil\.pkl is refused: the pickle asks for {named}"):
        arrays_only.load(path)
    assert not (tmp_path / "pwned").exists()


def test_a_module_that_is_refused_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"cthis\ns\n.")
    with pytest.raises(UserError, match=r"asks for this\.s;"):
        arrays_only.load(tmp_path / "a.pkl")
    assert "this" not in sys.modules


def test_only_latin_1_is_encoded(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"c_codecs\nencode\n(Vx\nVzlib\ntR.")
    with pytest.raises(UserError, match="codec zlib"):
        arrays_only.load(tmp_path / "a.pkl")


def test_a_damaged_pickle_is_one_sentence(tmp_path: Path) -> None:
    whole = pickle.dumps({"train": {"text": np.ones((4, 5, 6))}})
    path = tmp_path / "cut.pkl"
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"cut\.pkl cannot be read as a pickle"):
            arrays_only.load(path)
    with pytest.raises(UserError, match="cannot be read"):
        arrays_only.load(tmp_path / "nowhere.pkl")
