"""A microphone as a source: PortAudio blocks, timed and mixed to mono, opened again when lost."""

from __future__ import annotations

import atexit
import queue
import threading
from collections import deque
from dataclasses import dataclass
from statistics import median_low
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from stream.clock import Clock

if TYPE_CHECKING:  # it brings torch along, which asking for devices does not need
    from stream.intake import Feed

ANSWER_LIMIT_S = 1.8
"""`unusable` gives its answer within this time, whatever the sound system does."""
BLOCK_S = 0.02
RETRY_S = (1.0, 2.0, 4.0, 5.0)
"""Pauses before a lost microphone is opened again; the last one repeats."""
POLL_S = 0.2
"""How long after `stop` the thread may still wait for a block."""
CLOSE_LIMIT_S = 1.0
"""How long the end of the program waits for a stream to be closed."""
MAX_AGE_S = 5.0
"""PortAudio's capture time is believed when it lies at most so far back."""
TIMED_BLOCKS = 50
"""Blocks (1 s of sound) that together tell when a stream's samples were taken."""
SETTLED_BLOCKS = 8
"""So many blocks after its begin or an overflow, a stream's times are relied on."""


@dataclass(frozen=True)
class Input:
    """A sound input as PortAudio lists it; `rate` in Hz is the device's own."""

    index: int
    name: str
    rate: int
    channels: int


@dataclass(frozen=True)
class Block:
    """What the callback takes along: float32 [n, channels], and the seconds since its capture."""

    came_ns: int
    age_s: float
    samples: NDArray[np.float32]
    overflowed: bool


def unusable(which: str | None = None) -> str | None:
    """One sentence that says why there is no usable microphone, or None: there is one.

    Answers within `ANSWER_LIMIT_S` even when the sound system hangs.
    """
    answers: list[str | None] = []

    def probe() -> None:
        try:
            choose(which)
            answers.append(None)
        except UserError as error:
            answers.append(str(error))

    thread = threading.Thread(target=probe, name="microphone probe", daemon=True)
    thread.start()
    thread.join(ANSWER_LIMIT_S)
    if answers:
        return answers[0]
    return f"the sound system did not answer within {ANSWER_LIMIT_S} s."


def inputs() -> list[Input]:
    """Every sound input, as known since PortAudio was started. Raises UserError without PortAudio.

    May block in the sound system.
    """
    listed = [
        Input(n, d["name"], round(d["default_samplerate"]), d["max_input_channels"])
        for n, d in enumerate(_portaudio().query_devices())
    ]
    return [device for device in listed if device.channels > 0]


def choose(which: str | None) -> Input:
    """The input of that index, or with that in its name; None: the default one.

    Raises UserError when there is none. May block in the sound system.
    """
    sd = _portaudio()
    known = inputs()
    default = sd.default.device[0]
    for device in known:
        if which is None and device.index == default:
            return device
        if which is not None and which.isdigit() and device.index == int(which):
            return device
        if which and not which.isdigit() and which.casefold() in device.name.casefold():
            return device
    if not known:
        raise UserError("there is no microphone: the sound system lists no input.")
    listed = ", ".join(f"{device.index} ({device.name})" for device in known)
    wanted = "default microphone" if which is None else f"microphone {which!r}"
    raise UserError(f"there is no {wanted}; there are: {listed}.")


class Microphone:
    """Listens from a daemon thread that nobody waits for: closing a stream can hang for good."""

    devices: tuple[str, ...] = ("microphone",)

    def __init__(self, which: str | None) -> None:
        """`which`: an index or a part of the name; None: the system's default input."""
        self._which = which
        self._stop = threading.Event()

    def start(self, intake: Feed, clock: Clock) -> None:
        intake.condition("microphone", "starting", clock.now_ns())
        thread = threading.Thread(
            target=self._listen, args=(intake, clock), name="microphone", daemon=True
        )
        thread.start()
        atexit.register(self._leave, thread)

    def stop(self) -> None:
        self._stop.set()

    def _leave(self, thread: threading.Thread) -> None:
        """A callback must not come when the interpreter is gone, nor its end be held up."""
        self.stop()
        thread.join(CLOSE_LIMIT_S)

    def _listen(self, intake: Feed, clock: Clock) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                if failures:
                    _relist()
                if self._stream(intake, clock):
                    failures = 0
            except UserError as error:
                intake.condition("microphone", "no_device", clock.now_ns(), str(error))
            self._stop.wait(RETRY_S[min(failures, len(RETRY_S) - 1)])
            failures += 1

    def _stream(self, intake: Feed, clock: Clock) -> int:
        """Hand blocks in until the stream ends; how many there were. Raises UserError."""
        sd = _portaudio()
        device = choose(self._which)
        blocks: queue.SimpleQueue[Block | None] = queue.SimpleQueue()

        def callback(indata: NDArray[np.float32], _frames: int, time: Any, status: Any) -> None:
            age_s = time.currentTime - time.inputBufferAdcTime if time.inputBufferAdcTime else -1.0
            blocks.put(Block(clock.now_ns(), age_s, indata.copy(), bool(status.input_overflow)))

        try:
            with sd.InputStream(
                samplerate=device.rate,
                blocksize=round(device.rate * BLOCK_S),
                device=device.index,
                # The first two: a sound server pretends to have 32.
                channels=min(device.channels, 2),
                dtype="float32",
                latency="low",
                callback=callback,
                finished_callback=lambda: blocks.put(None),
            ) as stream:
                count = self._hand_in(blocks, round(stream.samplerate), intake)
                if not self._stop.is_set():
                    # Told before the stream is closed, because closing may never come back.
                    lost = f"microphone {device.name} gives no more sound."
                    intake.condition("microphone", "no_device", clock.now_ns(), lost)
        except sd.PortAudioError as error:
            raise UserError(f"microphone {device.name} cannot be used: {error}.") from None
        return count

    def _hand_in(self, blocks: queue.SimpleQueue[Block | None], rate: int, intake: Feed) -> int:
        timeline = Timeline(rate)
        count = 0
        while not self._stop.is_set():
            try:
                block = blocks.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if block is None:
                break
            for begin_ns, placed in timeline.push(block):
                mono = placed.samples.mean(axis=1, dtype=np.float32)
                cause = "dropped" if placed.overflowed else "stalled"
                intake.sound(begin_ns, mono, rate, cause)
                count += 1
        return count


class Timeline:
    """When the samples of one stream were taken.

    Between two overflows no sample is missing, so one moment places them all: the median of what
    the last blocks say, because single ones err (a busy machine hands them over late and in
    bursts; a stream just opened tells ages that are too large).
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._samples = 0
        self._starts: deque[int] = deque(maxlen=TIMED_BLOCKS)
        self._waiting: list[tuple[int, Block]] = []

    def push(self, block: Block) -> list[tuple[int, Block]]:
        """Blocks that can be placed by now, each with the time of its first sample in ns."""
        placed: list[tuple[int, Block]] = []
        if block.overflowed:
            placed = self._placed()
            self._starts.clear()
        length_s = len(block.samples) / self._rate
        # Some drivers tell no capture time, or one later than the block's own length allows.
        age_s = max(block.age_s, length_s) if block.age_s <= MAX_AGE_S else length_s
        before_ns = self._samples * 1_000_000_000 // self._rate
        self._starts.append(block.came_ns - round(age_s * 1e9) - before_ns)
        self._waiting.append((before_ns, block))
        self._samples += len(block.samples)
        return placed + (self._placed() if len(self._starts) >= SETTLED_BLOCKS else [])

    def _placed(self) -> list[tuple[int, Block]]:
        waiting, self._waiting = self._waiting, []
        return [(median_low(self._starts) + before_ns, block) for before_ns, block in waiting]


def _relist() -> None:
    """Have PortAudio look for devices again; only while no stream is open. Raises UserError."""
    sd = _portaudio()
    try:
        sd._terminate()
        sd._initialize()
    except sd.PortAudioError as error:
        raise UserError(f"the sound system cannot be started: {error}.") from None


def _portaudio() -> Any:
    """The sounddevice module. Raises UserError when the PortAudio library is missing."""
    try:
        import sounddevice
    except OSError:
        raise UserError(
            "the PortAudio library is missing; `sudo apt-get install -y libportaudio2` installs it."
        ) from None
    # Its own clean-up at exit waits for the sound server, which may never answer.
    atexit.unregister(sounddevice._exit_handler)
    return sounddevice
