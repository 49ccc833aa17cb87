"""What every test may ask for, and how property tests run.

On a machine that others use, too: no deadline, the same examples each time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from tests.support.mosi import part
from tests.support.ports import free_port

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture
def address() -> str:
    """Where a publisher may bind, its control channel beside it."""
    return free_port()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set of MOSI's shape (`tests.support.mosi`)."""
    path = tmp_path_factory.mktemp("mosi")
    parts = {"train": part(26, "a", 1), "test": part(10, "b", 2)}
    arrays = {f"{name}_{key}": x for name, arrays in parts.items() for key, x in arrays.items()}
    np.savez(path / "mosi_utterance.npz", **arrays)
    return path
