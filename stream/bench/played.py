"""Plays the clip of `normtr bench live` and gathers the figures."""

from __future__ import annotations

import sys
import time
from array import array
from dataclasses import dataclass, replace
from typing import Any

import psutil

from normtr.cause import Cause
from normtr.media import Media
from normtr.modality import Modality
from normtr.progress import say
from stream.bench import faults as fault_plans
from stream.bench.endurance import Endurance, Series, wrong_causes
from stream.bench.faulty import Faults
from stream.bench.live import BenchLive
from stream.bench.processor_time import ProcessorTime
from stream.pipeline.pipe import Pipe
from stream.pipeline.window_assembler import Estimate
from stream.publish.gap_recorder import GapRecorder
from stream.publish.messages import Messages
from stream.publish.publisher import Publisher
from stream.session import virtual
from stream.session.session import Opened, open_session
from stream.views import timeline
from stream.views.summary import Summary

ON_TIME_MS = 400.0
"""A tick is on time when its message goes out before the next step's estimate is due."""


def measure(config: BenchLive, publisher: Publisher) -> dict[str, Any]:
    """Play the clip and return the report. Raises UserError."""
    assert config.seconds is not None
    plan = None if config.faults is None else fault_plans.load(config.faults).within(config.seconds)
    faults = None if plan is None else Faults(plan, config.bind)
    opened = _opened(config, faults)
    say(f"Playing {opened.name} for {config.seconds:g} s")
    found, first = _played(config, opened, faults, publisher)
    report = {
        "source": opened.name,
        "seconds": config.seconds,
        **_figures(config.seconds, opened, found),
        "start_to_first_affect_s": None if first is None else first.start_s,
        "cpu_s_per_s": None if first is None else first.time.per_second(),
    }
    endurance, summary = found[opened.sources[0]].endurance, found[opened.sources[0]].summary
    report |= endurance.drifts(() if plan is None else plan.faults)
    if plan is not None:
        gaps = _by_step(summary)
        baseline, clip_s = _undisturbed(config, opened)
        report |= {
            "reactions": endurance.reactions(plan, gaps, summary.step_s),
            "wrong_causes": wrong_causes(plan, gaps, baseline, clip_s, summary.step_s),
        }
    if config.timeline is not None and summary.estimates:
        timeline.draw(config.timeline, summary, [], opened.name)
    return report


@dataclass(frozen=True)
class _Played:
    """What one source gave."""

    endurance: Endurance
    summary: Summary


def _opened(config: BenchLive, faults: Faults | None) -> Opened:
    if faults is None:
        return open_session(config, repeat=True, say=say)
    return open_session(config, repeat=True, say=say, around=faults.worker, through=faults.source)


def _played(
    config: BenchLive, opened: Opened, faults: Faults | None, publisher: Publisher
) -> tuple[dict[str, _Played], _First | None]:
    """Return what each source gave, and the first estimate's moment; None if there was none."""
    checkpoint, origin_ns = opened.models.checkpoint, opened.origin_ns
    assert config.seconds is not None
    steps = (
        int(config.seconds * 1000) // checkpoint.spec.step_ms
    )  # faults are judged by all of them
    wire = Messages(opened.session, checkpoint.sha256, checkpoint.labels, opened.name)
    found = {
        source: _Played(Endurance(origin_ns), Summary(checkpoint.labels, origin_ns, steps))
        for source in opened.sources
    }
    gaps = None if config.record_gaps is None else GapRecorder(config.record_gaps)
    first = None
    try:
        for sent_ns, output in opened.stream:
            for message in wire.of(sent_ns, output):
                publisher.send(message)
            if output.source:
                found[output.source].endurance.add(sent_ns, output)
            if isinstance(output, Estimate):
                first = first or _First()
                first.time.look()
                found[output.source].summary.add(sent_ns, output)
                if gaps is not None:
                    gaps.take([], output)
                if faults is not None:
                    faults.foreign(sent_ns)
    finally:
        if faults is not None:
            faults.close()
        if gaps is not None:
            gaps.close()
    return found, first


class _First:
    """The moment of the first estimate; what was used before, such as by loading, does not count."""

    def __init__(self) -> None:
        self.start_s = _age_s()
        """The seconds since the program began."""
        self.time = ProcessorTime()
        """The processor time from the first estimate on."""


def _age_s() -> float:
    """Return the seconds since this process began."""
    process = psutil.Process()
    if sys.platform != "linux":
        return time.time() - process.create_time()
    # create_time() contains the boot time, rounded to a second; it is subtracted again.
    return time.clock_gettime(time.CLOCK_BOOTTIME) - (process.create_time() - psutil.boot_time())


def _figures(seconds: float, opened: Opened, found: dict[str, _Played]) -> dict[str, Any]:
    """Return the figures of the only source, or of each source by its name."""
    assert opened.realtime is not None
    each = {
        track.name: _of_source(seconds, track.pipe, found[track.name].endurance)
        for track in opened.realtime.source_sessions
    }
    return each[opened.name] if len(each) == 1 else {"sources": each}


def _of_source(seconds: float, pipe: Pipe, endurance: Endurance) -> dict[str, Any]:
    expected = int(seconds * 1000) // pipe.spec.step_ms
    total = endurance.total_ms
    on_time = sum(ms <= ON_TIME_MS for ms in total.values)
    faces = endurance.faces.values
    return {
        "ticks_expected": expected,
        "ticks_published": len(total.values),
        "ticks_on_time": on_time / expected,
        "capture_to_topic_ms": total.percentiles(50, 95, 99),
        "fresh_share": {m: f.share for m, f in pipe.recognizer.fresh.items()},
        "faces_per_step": sum(faces) / len(faces) if faces else None,
        "word_first_seen_s": endurance.first_seen_s.percentiles(50, 95),
        "word_commit_s": endurance.commit_s.percentiles(50, 95),
        "words": len(endurance.commit_s.values),
        "stage_ms": {
            name: Series(values=array("d", times)).percentiles(50, 95)
            for name, times in pipe.stage_ms.items()
        },
        "restarts": pipe.restarts,
        "seconds_at_level": dict(sorted(endurance.seconds_at_level.items())),
        "rss_mib_max": max(endurance.memory_mib.values, default=0.0),
    }


def _undisturbed(config: BenchLive, opened: Opened) -> tuple[dict[str, list[Cause]], float]:
    """Play the clip once in virtual time; return each step's cause and the clip's seconds."""
    (source,) = config.sources
    with Media(source) as media:
        clip_s = max(item.end_ns for item in media) / 1e9
    alone = replace(config, text="off")
    summary = Summary(opened.models.checkpoint.labels, 0)
    for sent_ns, output in virtual.outputs(alone, opened.models, Media(source), None):
        if isinstance(output, Estimate):
            summary.add(sent_ns, output)
    return _by_step(summary), clip_s


def _by_step(summary: Summary) -> dict[str, list[Cause]]:
    """Return each step's cause by modality; `late` if no estimate contained the step."""
    found = dict(summary.steps())
    steps = range(max(found, default=-1) + 1)
    return {
        m: [found[n][m] if n in found else Cause.LATE for n in steps]
        for m in (Modality.FACE, Modality.VOICE)
    }
