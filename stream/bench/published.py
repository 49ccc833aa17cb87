"""Publishes the messages of `normtr bench wire` and gathers the figures."""

from __future__ import annotations

import json
import selectors
import subprocess
import time
from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

from normtr.cause import Cause
from normtr.errors import UserError
from normtr.predictor import Prediction
from normtr.spec import LABELS, FeatureSpec
from normtr.window import assemble
from stream.bench.endurance import Series
from stream.bench.wire import BenchWire
from stream.bench.wire_readers import FLOODED
from stream.pipeline.outputs import Notice
from stream.pipeline.window_assembler import Estimate
from stream.publish.messages import Messages
from stream.publish.publisher import Publisher
from stream.wire import FRAME, INFO, NoticeKind

FLOOD_HZ, FLOOD_S = 20_000, 4.0
"""The messages that the flood sends in a second, if it can, and its length."""
FRAMES_A_STEP, FRAME_BYTES = 2, 12_000
"""The pictures that a session with --frames sends to subscribers meanwhile."""
LATE_MS = 50.0
"""A tick is late when its message is sent later than this after it was due."""
JOIN_S = 30.0
SETTLED_S = 5.0
"""Memory counts from this time on."""


def measure(
    config: BenchWire, publisher: Publisher, readers: subprocess.Popen[str]
) -> dict[str, Any]:
    """Publish and return the report; `readers` is the subscribers' process. Raises UserError."""
    wire = Messages("0123456789abcdef", "f" * 64, LABELS)
    _join(publisher, readers, wire)
    steady = _steady(config, publisher, wire)
    sent, per_s = _flood(publisher, wire)
    time.sleep(1.0)  # the flood must not push out the last message
    now_ns = time.monotonic_ns()
    for message in wire.of(now_ns, Notice(NoticeKind.STOPPING, now_ns)):
        publisher.send(message)
    assert readers.stdout is not None
    seen = json.loads(readers.stdout.readline())
    latency_ms = Series(values=array("d", seen["latency_ms"]))
    return {
        "publish_ms": steady.publish_ms.percentiles(50, 95, 99),
        "publish_wall_ms": steady.publish_wall_ms.percentiles(50, 95, 99),
        "latency_ms": latency_ms.percentiles(50, 95, 99),
        "messages_per_s": per_s,
        "lost": steady.ticks - len(latency_ms.values) + sent - seen["flooded"],
        "ticks": steady.ticks,
        "ticks_late": steady.late,
        "rss_mib": {"settled": steady.memory_mib[0], "end": steady.memory_mib[1]},
        "subscribers": config.subscribers,
        "deaf": config.deaf,
    }


@dataclass
class _Steady:
    publish_ms: Series
    """The processor time that a session spends on encoding a message and handing it over."""
    publish_wall_ms: Series
    """The same span by the clock, which includes the work of other threads and processes."""
    memory_mib: tuple[float, float]
    ticks: int
    late: int


def _join(publisher: Publisher, readers: subprocess.Popen[str], wire: Messages) -> None:
    """Publish until every subscriber that reads has got a message. Raises UserError."""
    assert readers.stdout is not None
    until = time.monotonic() + JOIN_S
    with selectors.DefaultSelector() as selector:
        selector.register(readers.stdout, selectors.EVENT_READ)
        while not selector.select(0.05):
            if time.monotonic() > until:
                raise UserError("the subscribers did not get through within half a minute.")
            publisher.send(wire.envelope(INFO, 0, 0, {}))
    if readers.stdout.readline() != "ready\n":
        raise UserError("the subscribers ended before anything was measured.")


def _steady(config: BenchWire, publisher: Publisher, wire: Messages) -> _Steady:
    process, spec = psutil.Process(), FeatureSpec()
    estimate = _estimate(spec)
    publish_ms, publish_wall_ms = Series(), Series()
    late, settled_mib = 0, 0.0
    begin = time.monotonic()
    ticks = round(config.seconds * 1000 / spec.step_ms)
    for tick in range(ticks):
        due = begin + tick * spec.step_ms / 1000
        time.sleep(max(0.0, due - time.monotonic()))
        sent_ns = time.monotonic_ns()
        for message in wire.of(sent_ns, estimate):
            began_ns, began_cpu_ns = time.monotonic_ns(), time.thread_time_ns()
            publisher.send(message)
            publish_ms.values.append((time.thread_time_ns() - began_cpu_ns) / 1e6)
            publish_wall_ms.values.append((time.monotonic_ns() - began_ns) / 1e6)
        late += (time.monotonic() - due) * 1000 > LATE_MS
        if publisher.wants(FRAME):
            for _ in range(FRAMES_A_STEP):
                body = {"jpeg": bytes(FRAME_BYTES), "width": 320, "height": 240}
                publisher.send(wire.envelope(FRAME, sent_ns, sent_ns, body))
        if not settled_mib and time.monotonic() - begin >= min(SETTLED_S, config.seconds / 2):
            settled_mib = process.memory_info().rss / 2**20
    memory_mib = (settled_mib, process.memory_info().rss / 2**20)
    return _Steady(publish_ms, publish_wall_ms, memory_mib, ticks, late)


def _flood(publisher: Publisher, wire: Messages) -> tuple[int, float]:
    """Flood the subscribers; return how many messages were sent, and how many a second."""
    affect = next(iter(wire.of(0, _estimate(FeatureSpec()))))
    began = time.monotonic()
    sent = 0
    while (passed_s := time.monotonic() - began) < FLOOD_S:
        while sent < passed_s * FLOOD_HZ:
            publisher.send(wire.envelope(FLOODED, sent, sent, affect.payload))
            sent += 1
        time.sleep(0.0005)
    return sent, sent / (time.monotonic() - began)


def _estimate(spec: FeatureSpec) -> Estimate:
    columns = {
        m: [(Cause.NONE, np.zeros(dim, np.float32))] * spec.steps for m, dim in spec.dims.items()
    }
    window = assemble(spec, 0, columns)
    prediction = Prediction((1 / 7,) * 7, LABELS[0], 1 / 7, False, dict.fromkeys(columns, 1 / 3))
    return Estimate(0, window, prediction, window.end_ns, 2)
