"""`normtr bench model | live | wire`: finds the benchmark by entry-point group `normtr.bench`."""

from __future__ import annotations

from importlib.metadata import entry_points

from normtr.errors import UsageError


def run(argv: list[str]) -> int:
    known = {point.name: point for point in sorted(entry_points(group="normtr.bench"))}
    if not argv or argv[0] not in known:
        raise UsageError(f"give one of: {', '.join(known)}.")
    status: int = known[argv[0]].load()(argv[1:])
    return status
