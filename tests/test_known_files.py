"""Large files are verified by hash once, and again when they change."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from normtr import known_files
from normtr.known_files import is_known


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The files that were read for their hash."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found: list[Path] = []
    whole = known_files.sha256

    def sha256(path: Path) -> str:
        found.append(path)
        return whole(path)

    monkeypatch.setattr(known_files, "sha256", sha256)
    return found


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, read: list[Path]) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"aaaa")
    other.write_bytes(b"bbbb")
    for _ in range(2):
        assert is_known(one, digest(b"aaaa"))
        assert is_known(other, digest(b"bbbb"))
    assert read == [one, other]
    one.write_bytes(b"aaab")  # of the same size
    os.utime(one, ns=(0, 1))
    assert not is_known(one, digest(b"aaaa"))
    assert not is_known(one, digest(b"aaaa"))  # what is wrong is never remembered
    assert read == [one, other, one, one]
    assert not is_known(other, digest(b"cccc"))  # another version of us expects another file


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', None])
def test_a_damaged_or_unwritable_memory_costs_time_only(
    content: str | None, tmp_path: Path, read: list[Path]
) -> None:
    path, cache = tmp_path / "one", tmp_path / "cache"
    path.write_bytes(b"aaaa")
    if content is None:
        cache.write_text("a file, where a folder should be")
    else:
        (cache / "normtr").mkdir(parents=True)
        (cache / "normtr" / known_files.FILE).write_text(content)
    assert is_known(path, digest(b"aaaa"))
    assert is_known(path, digest(b"aaaa"))
    assert len(read) == (2 if content is None else 1)
