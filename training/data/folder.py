"""Where data sets are looked for, unless a config or a command names another place."""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(os.environ.get("NORMTR_DATA") or "../shared/data")
"""The folder that the variable NORMTR_DATA names."""
