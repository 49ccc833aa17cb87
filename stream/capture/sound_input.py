"""The sound inputs of this machine, and the process that reads one of them.

    python -m stream.capture.sound_input list             every input, in one record
    python -m stream.capture.sound_input listen [WHICH]   its sound, until standard input is closed

A record on standard output is a JSON line, followed by as many bytes as its key `bytes` says
(float32 frames). `listen` looks again and again for an input that cannot be opened. It is a process
of its own for three reasons: PortAudio knows only the devices that were there when it started, it
cannot close a stream whose server hangs, and a process can be ended whatever it waits for.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from normtr.errors import UserError

BLOCK_S = 0.02
RETRY_S = (0.25, 0.5, 1.0)
"""Pauses before an input that cannot be opened is tried again; the last one repeats."""
WAITING_BLOCKS = 250
"""This many blocks (5 s) may wait for their reader; further ones are dropped."""
LIST_LIMIT_S = 1.8
"""`list` answers within this time, or not at all."""
SERVER_LIMIT_S = 1.0
"""A sound server may take this long to list its sources."""
PULSE_DEVICES = ("pulse", "default")
"""ALSA's names for the way to a PulseAudio or PipeWire server."""


@dataclass(frozen=True)
class Input:
    """A sound input; `rate` in Hz is the device's own."""

    index: int
    """PortAudio's number of the device to open."""
    name: str
    rate: int
    channels: int
    source: str | None = None
    """The name that the sound server gives it; None for PortAudio's device itself."""


def inputs() -> list[Input]:
    """Return every input of PortAudio, then those of the sound server.

    PortAudio knows the inputs that were there when it started. Raises UserError without PortAudio.
    May block in the sound system.
    """
    listed = [
        Input(n, d["name"], round(d["default_samplerate"]), d["max_input_channels"])
        for n, d in enumerate(_portaudio().query_devices())
    ]
    devices = [device for device in listed if device.channels > 0]
    ways = [device for name in PULSE_DEVICES for device in devices if device.name == name]
    return devices + (_behind(ways[0]) if ways and sys.platform == "linux" else [])


def _behind(way: Input) -> list[Input]:
    """Return the sources of a PulseAudio or PipeWire server, including monitors of what is
    played."""
    command = ["pactl", "--format=json", "list", "sources"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SERVER_LIMIT_S)
        sources = json.loads(done.stdout or "[]")
        found = []
        for source in sources:
            _, channels, rate = source["sample_specification"].split()
            size = int(rate.removesuffix("Hz")), int(channels.removesuffix("ch"))
            found.append(Input(way.index, source["description"], *size, source["name"]))
        return found
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
        return []  # no such server, or one that does not answer


def choose(which: str | None, known: Sequence[Input], default: int) -> Input:
    """Return the input with this index or name; None: the one with index `default`.

    A part of the name is enough. Inputs of a sound server come first, because the server uses the
    device itself. Raises UserError when there is no such input.
    """
    if which is None or which.isdigit():
        index = default if which is None else int(which)
        fitting = [i for i in known if i.source is None and i.index == index]
    else:
        wanted = which.casefold()
        fitting = [i for i in known if wanted in (i.name.casefold(), (i.source or "").casefold())]
        for behind in (True, False):
            fitting += [
                i
                for i in known
                if (i.source is not None) == behind
                and wanted in f"{i.name}\n{i.source or ''}".casefold()
            ]
    if fitting:
        return fitting[0]
    if not known:
        raise UserError("there is no microphone: the sound system lists no input.")
    listed = ", ".join(i.name if i.source else f"{i.index} ({i.name})" for i in known)
    what = "default microphone" if which is None else f"microphone {which!r}"
    raise UserError(f"there is no {what}; there are: {listed}.")


def default_index() -> int:
    """Return PortAudio's number of the system's default input; -1 if there is none."""
    return int(_portaudio().default.device[0])


def _portaudio() -> Any:
    """Return the sounddevice module. Raises UserError when the PortAudio library is missing."""
    try:
        import sounddevice
    except OSError:
        raise UserError(
            "the PortAudio library is missing; `sudo apt-get install -y libportaudio2` installs it."
        ) from None
    return sounddevice


def _relist() -> None:
    """Make PortAudio look for devices again, while no stream is open. Raises UserError."""
    sd = _portaudio()
    os.environ.pop("PULSE_SOURCE", None)
    try:
        sd._terminate()
        sd._initialize()
    except sd.PortAudioError as error:
        raise UserError(f"the sound system cannot be started: {error}.") from None


def _tell(data: bytes = b"", **record: Any) -> None:
    out = sys.stdout.buffer
    out.write(json.dumps({**record, "bytes": len(data)}).encode() + b"\n" + data)
    out.flush()


def _listen(which: str | None) -> None:
    """Listen until an open stream has ended; only a new process is sure to get another one."""
    for attempt in itertools.count():
        try:
            if attempt:
                _relist()
            _stream(choose(which, inputs(), default_index()))
            return
        except UserError as error:
            _tell(lost=str(error))
        time.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])


def _stream(device: Input) -> None:
    """Pass the input's sound on until it ends. Raises UserError when it cannot be opened."""
    sd = _portaudio()
    blocks: queue.SimpleQueue[tuple[dict[str, Any], bytes] | None] = queue.SimpleQueue()
    dropped = False

    def callback(indata: Any, _frames: int, times: Any, status: Any) -> None:
        nonlocal dropped
        age_s = times.currentTime - times.inputBufferAdcTime if times.inputBufferAdcTime else -1.0
        overflowed = bool(status.input_overflow) or dropped
        dropped = blocks.qsize() >= WAITING_BLOCKS
        if not dropped:
            record = {"came_ns": time.monotonic_ns(), "age_s": age_s, "overflowed": overflowed}
            blocks.put((record, bytes(indata)))

    if device.source is not None:
        os.environ["PULSE_SOURCE"] = device.source
    # Only the first two are read: a sound server pretends to have 32.
    channels = min(device.channels, 2)
    try:
        stream = sd.RawInputStream(
            samplerate=device.rate,
            blocksize=round(device.rate * BLOCK_S),
            device=device.index,
            channels=channels,
            dtype="float32",
            latency="low",
            callback=callback,
            finished_callback=lambda: blocks.put(None),
        )
        stream.start()
    except sd.PortAudioError as error:
        busy = ", another program uses it" if "unavailable" in str(error).lower() else ""
        raise UserError(f"microphone {device.name} cannot be used{busy}: {error}.") from None
    _tell(opened=device.name, rate=round(stream.samplerate), channels=channels)
    while (block := blocks.get()) is not None:
        record, data = block
        _tell(data, **record)
    _tell(lost=f"microphone {device.name} gives no more sound.")


def _leave_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main(argv: Sequence[str]) -> None:
    """Run the process. It never returns: nothing at its end may wait for a sound server."""
    with suppress(BrokenPipeError, KeyboardInterrupt):
        if argv[0] == "listen":
            threading.Thread(target=_leave_with_parent, daemon=True).start()
            _listen(argv[1] if len(argv) > 1 else None)
        else:
            threading.Timer(LIST_LIMIT_S, os._exit, [1]).start()
            try:
                _tell(default=default_index(), inputs=[asdict(i) for i in inputs()])
            except UserError as error:
                _tell(lost=str(error))
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
