"""Lab Streaming Layer: a real inlet gets what the wire says, at the time of the window's end."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pylsl
import pytest

from normtr.errors import UsageError
from stream.client import Affect, subscribe
from stream.commands import live
from stream.publish.lsl import ABSTAINED, LslOutlets
from stream.session.session import DEMO
from stream.wire import AFFECT
from tests.support.messages import SAID
from tests.support.ports import free_port
from tests.support.program import start

pytestmark = pytest.mark.slow

WITHOUT = """
import sys
sys.modules["pylsl"] = None
from stream.commands import live
sys.exit(live.run(sys.argv[1:]))
"""


@pytest.fixture
def outlets() -> Iterator[LslOutlets]:
    one = LslOutlets()
    yield one
    one.close()


def inlet(predicate: str, meanwhile: Callable[[], object] = lambda: None) -> pylsl.StreamInlet:
    found: list[Any] = []
    end = time.monotonic() + 60
    while not found:
        assert time.monotonic() < end, f"no stream with {predicate}"
        meanwhile()
        found = pylsl.resolve_bypred(predicate, 1, 0.5)
    one = pylsl.StreamInlet(found[0], recover=False)
    one.open_stream(10)
    return one


def channels(info: pylsl.StreamInfo) -> list[tuple[str, str]]:
    channel = info.desc().child("channels").child("channel")
    out = []
    while not channel.empty():
        out.append((channel.child_value("label"), channel.child_value("unit")))
        channel = channel.next_sibling()
    return out


def test_each_source_is_a_stream_with_a_channel_a_label_and_one_to_abstain(
    outlets: LslOutlets,
) -> None:
    payload = SAID[AFFECT].payload
    sources = [uuid.uuid4().hex for _ in range(2)]
    for source in sources:
        outlets.push({**payload, "source": source, "t_ns": time.monotonic_ns()})
    for n, source in enumerate(sources):
        one = inlet(f"name='normtr {source}'")
        info = one.info(10)
        assert info.nominal_srate() == 4.0
        assert channels(info) == [
            *((label, "probability") for label in payload["labels"]),
            (ABSTAINED, "boolean"),
        ]
        assert info.desc().child_value("model") == payload["model"]
        happened = time.monotonic_ns() - 2_000_000_000
        expected = happened / 1e9 + outlets.ahead_s()
        outlets.push({**payload, "source": source, "t_ns": happened, "abstained": n == 1})
        sample, stamp = one.pull_sample(10)
        assert sample == pytest.approx([*payload["probabilities"], n], abs=1e-6)
        assert stamp == pytest.approx(expected, abs=0.1)


def test_live_sends_what_it_publishes(tmp_path: Path) -> None:
    address = free_port()
    clip = tmp_path / f"{uuid.uuid4().hex}.mp4"  # a name that no stream beside this test has
    clip.symlink_to(DEMO)
    process = start("--source", clip, "--text", "off", "--bind", address, "--lsl")
    try:
        with subscribe(AFFECT, address=address) as subscription:
            subscription.receive(60)
            one = inlet(f"name='normtr {clip.name}'")
            samples = [one.pull_sample(20) for _ in range(4)]
            ahead_s = LslOutlets().ahead_s()
            wire: list[Affect] = []
            while not wire or wire[-1].t_ns / 1e9 < samples[-1][1] - ahead_s:
                message = subscription.receive(20)
                assert isinstance(message, Affect)
                wire.append(message)
        for sample, stamp in samples:
            happened_s = stamp - ahead_s
            message = min(wire, key=lambda m: abs(m.t_ns / 1e9 - happened_s))
            assert happened_s == pytest.approx(message.t_ns / 1e9, abs=0.02)
            assert sample[:-1] == pytest.approx(message.probabilities, abs=1e-6)
            assert bool(sample[-1]) == message.abstained
    finally:
        process.kill()
        process.communicate()


def test_without_the_package_it_is_one_sentence() -> None:
    words = [sys.executable, "-c", WITHOUT, "--source", DEMO, "--text", "off", "--lsl"]
    done = subprocess.run(
        [*map(str, words), "--bind", free_port()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("normtr live:")]
    assert "--lsl needs the package pylsl" in sentence
    assert "pip install 'normtr[lsl]'" in sentence
    assert "Traceback" not in done.stderr


def test_virtual_time_has_no_listeners() -> None:
    with pytest.raises(UsageError, match="--lsl sends in real time"):
        live.run(["--source", str(DEMO), "--fast", "--lsl"])
