"""The folder in which data sets are looked for if neither a config nor a command names another."""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(os.environ.get("NORMTR_DATA") or "../shared/data")
"""The environment variable NORMTR_DATA sets it."""
