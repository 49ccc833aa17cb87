"""Programs that a test needs beside the Python packages: a display, a sound server, a browser, Node.

Data of `../shared/data` and a GPU are none of these: not every machine has them, CI neither.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test because of `what`; with CI=true, where everything has to be there, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI has to test everything, but {what}")
    pytest.skip(f"NOT TESTED: {what}")


def require(*programs: str) -> None:
    """Go on only where all these are on the path."""
    lacking = [name for name in programs if shutil.which(name) is None]
    if lacking:
        missing(f"{', '.join(lacking)} cannot be found; run .ci/system_libraries.sh test")
