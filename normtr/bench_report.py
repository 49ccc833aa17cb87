"""Shows what a benchmark measured: JSON for machines, a table for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def show(report: Mapping[str, Any], title: str, *, as_json: bool) -> None:
    """Print the report on standard output."""
    if as_json:
        json.dump(report, sys.stdout, indent=1)
        print(flush=True)
        return
    table = Table("figure", "value", title=title)
    for name, value in report.items():
        table.add_row(name, json.dumps(value))
    Console().print(table)
    sys.stdout.flush()
