"""Property tests on a machine that others use, too: no deadline, the same examples each time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
