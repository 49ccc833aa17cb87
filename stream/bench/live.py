"""`normtr bench live` measures what the whole pipe keeps up with, on a clip in real time."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from normtr import bench_report
from normtr.config import parse
from normtr.errors import UsageError
from normtr.progress import say
from stream.publish import output_files
from stream.publish.publisher import Publisher
from stream.session.source_config import DEMO, SourceConfig


@dataclass(frozen=True)
class BenchLive(SourceConfig):
    """Play a clip in real time, again and again, and measure the pipe; it publishes as live
    does."""

    source: str | tuple[str, ...] | None = str(DEMO)
    seconds: float | None = 60.0
    json: bool = False
    bind: str = "tcp://127.0.0.1:5597"
    faults: Path | None = None
    """A plan of what goes wrong meanwhile, such as configs/faults/minute.toml."""
    timeline: Path | None = None
    """Draw the session into this PNG at the end."""
    record_gaps: Path | None = None
    """Write here why steps were missing, as `live` does; training can use it as noise."""
    force: bool = False
    """Replace what lies where --timeline and --record-gaps write."""

    def __post_init__(self) -> None:
        """Raise UsageError for what cannot be measured."""
        super().__post_init__()
        if self.seconds is None or not self.sources or self.fast:
            raise UsageError("bench live plays a clip in real time; give --source and --seconds.")
        self.of_one_source("faults", "timeline", "record_gaps")


def main(argv: list[str]) -> NoReturn:
    """Run the verb and end the process, even if a thread hangs in a driver."""
    os._exit(run(argv))


def run(argv: list[str]) -> int:
    config = parse(BenchLive, argv, "bench live")
    outputs = {"--timeline": config.timeline, "--record-gaps": config.record_gaps}
    output_files.check(outputs, config.force)
    config.check_files()
    with closing(Publisher(config.bind)) as publisher:
        say("Loading the recognizer: its libraries (1 s)")
        from stream.bench.played import measure

        report = measure(config, publisher)
    bench_report.show(report, f"bench live, {report['source']}", as_json=config.json)
    return 0
