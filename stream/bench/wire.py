"""`normtr bench wire` measures what publishing costs and how long a message takes."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass

from normtr import bench_report
from normtr.config import parse
from normtr.errors import UsageError
from normtr.progress import say
from stream.publish.publisher import Publisher


@dataclass(frozen=True)
class BenchWire:
    """Publish estimates to a real subscriber process as a session does, and then a flood of
    them."""

    seconds: float = 30.0
    """How long four estimates a second are published."""
    subscribers: int = 1
    """The number of subscribers; one of them is measured."""
    deaf: int = 0
    """The number of subscribers that never read."""
    json: bool = False
    bind: str = "tcp://127.0.0.1:5596"

    def __post_init__(self) -> None:
        """Raise UsageError when nobody is left to be measured."""
        if not 0 <= self.deaf < self.subscribers <= 1000:
            raise UsageError("--subscribers lies between 1 and 1000 and --deaf below it.")
        if self.seconds < 1:
            raise UsageError(f"--seconds must be 1 or more, not {self.seconds:g}.")


def run(argv: list[str]) -> int:
    config = parse(BenchWire, argv, "bench wire")
    counts = (config.subscribers - config.deaf - 1, config.deaf)
    with closing(Publisher(config.bind)) as publisher:
        say(f"Publishing for {config.seconds:g} s, then a flood")
        from stream.bench.published import measure

        command = [sys.executable, "-P", "-m", "stream.bench.wire_readers", config.bind]
        readers = subprocess.Popen([*command, *map(str, counts)], stdout=subprocess.PIPE, text=True)
        try:
            report = measure(config, publisher, readers)
        finally:
            readers.kill()
            readers.wait()
    bench_report.show(report, "bench wire", as_json=config.json)
    return 0
