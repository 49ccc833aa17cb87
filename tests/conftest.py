"""What every test may ask for, and how property tests run.

On a machine that others use, too: no deadline, the same examples each time.
"""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.ports import free_port

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.fixture
def address() -> str:
    """Where a publisher may bind, its control channel beside it."""
    return free_port()
