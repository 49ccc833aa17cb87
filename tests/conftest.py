"""What every test may ask for, and how property tests run.

On a machine that others use, too: no deadline, the same examples each time.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

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
    from tests.support import mosi  # it needs torch, and most tests do not

    return mosi.write(tmp_path_factory.mktemp("mosi"))
