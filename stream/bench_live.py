"""`normtr bench live`: what the whole pipe keeps up with, on a clip in real time."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from normtr.config import parse
from normtr.errors import UserError
from stream.events import Heard
from stream.messages import Messages
from stream.pipe import Health
from stream.publisher import Publisher
from stream.recognizer import Estimate
from stream.session import DEMO, SourceConfig, open_session


@dataclass(frozen=True)
class BenchLive(SourceConfig):
    """Play a clip in real time, again and again, and measure the pipe; publishes as live does."""

    source: str | None = str(DEMO)
    seconds: float | None = 60.0
    json: bool = False
    bind: str = "tcp://127.0.0.1:5597"


def percentiles(values: Sequence[float], which: tuple[int, ...]) -> dict[str, float | None]:
    """{"p50": ...}; None where there is no value."""
    if not values:
        return {f"p{p}": None for p in which}
    return {f"p{p}": float(v) for p, v in zip(which, np.percentile(values, which), strict=True)}


def run(argv: list[str]) -> int:
    config = parse(BenchLive, argv, "bench live")
    if config.seconds is None or config.source is None or config.fast:
        raise UserError("bench live plays a clip in real time; give --source and --seconds.")
    process = psutil.Process()
    opened = open_session(config, repeat=True)
    session = opened.realtime
    assert session is not None
    checkpoint = opened.models.checkpoint
    wire = Messages(opened.session, checkpoint.sha256, checkpoint.labels)
    publisher = Publisher(config.bind)
    began = time.monotonic()
    cpu_began = sum(process.cpu_times()[:2])
    start_s = None
    total_ms: list[float] = []
    faces: list[int] = []
    first_seen_s: list[float] = []
    commit_s: list[float] = []
    seconds_at: Counter[int] = Counter()
    rss = 0.0
    for sent_ns, output in opened.stream:
        for message in wire.of(sent_ns, output):
            publisher.send(message)
        if isinstance(output, Estimate):
            if start_s is None:
                start_s = time.time() - process.create_time()
            total_ms.append((sent_ns - output.window.end_ns) / 1e6)
            faces.append(output.faces)
        elif isinstance(output, Heard):
            for change in output.changes:
                delay_s = (output.ready_ns - change.word.word.end_ns) / 1e9
                if change.change == "add":
                    first_seen_s.append(delay_s)
                elif change.change == "commit":
                    commit_s.append(delay_s)
        elif isinstance(output, Health):
            rss = max(rss, output.memory_mib or 0.0)
            seconds_at[output.level] += 1
    publisher.close()
    wall_s = time.monotonic() - began
    spec = checkpoint.spec
    expected = int(config.seconds * 1000) // spec.step_ms
    pipe = session.pipe
    report = {
        "source": opened.name,
        "seconds": config.seconds,
        "ticks_expected": expected,
        "ticks_published": len(total_ms),
        "capture_to_topic_ms": percentiles(total_ms, (50, 95, 99)),
        "fresh_share": {m: f.share for m, f in pipe.recognizer.fresh.items()},
        "faces_per_step": float(np.mean(faces)) if faces else None,
        "word_first_seen_s": percentiles(first_seen_s, (50, 95)),
        "word_commit_s": percentiles(commit_s, (50, 95)),
        "words": len(commit_s),
        "seconds_at_level": dict(sorted(seconds_at.items())),
        "stage_ms": {
            name: percentiles(list(times), (50, 95)) for name, times in pipe.stage_ms.items()
        },
        "rss_mib_max": rss,
        "start_to_first_affect_s": start_s,
        "cpu_percent": 100 * (sum(process.cpu_times()[:2]) - cpu_began) / wall_s,
    }
    if config.json:
        json.dump(report, sys.stdout, indent=1)
        print(flush=True)
    else:
        table = Table("figure", "value", title=f"bench live, {opened.name}")
        for name, value in report.items():
            table.add_row(name, json.dumps(value))
        Console().print(table)
    sys.stdout.flush()
    os._exit(0)  # a capture or worker thread may still hang in a driver
