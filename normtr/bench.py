"""`normtr bench live|model|wire` finds its benchmark by the entry-point group `normtr.bench`."""

from __future__ import annotations

from importlib.metadata import entry_points

from normtr.errors import UsageError

USAGE = """\
usage: normtr bench live|model|wire [options]

live   the whole pipe on a clip in real time: what is late, and what it costs
model  the network alone: one window, many at once, a training step
wire   publishing: what a message costs, and how long it takes to a subscriber

normtr bench live --help lists the options of one."""


def run(argv: list[str]) -> int:
    if argv[:1] in (["--help"], ["-h"]):
        print(USAGE)
        return 0
    known = {point.name: point for point in sorted(entry_points(group="normtr.bench"))}
    if not argv or argv[0] not in known:
        raise UsageError(f"give one of: {', '.join(known)}.")
    status: int = known[argv[0]].load()(argv[1:])
    return status
