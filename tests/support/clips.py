"""Small media files, written with PyAV: what a test needs of pictures and sound, and no more."""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
SOUND_CODECS = {".mp4": "aac", ".mov": "aac", ".mp3": "libmp3lame"}
CHUNK = 1024


def pattern(size: tuple[int, int], at_s: float) -> Image:
    """A bright square that moves to the right over a slanted gradient; RGB [H, W, 3]."""
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    image = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)
    side = max(height // 4, 1)
    left = round(at_s * width / 2) % width
    image[:side, left : left + side] = 255
    return image


@cache
def portrait() -> Image:
    """The face of an astronaut (public domain), 300 x 300."""
    from skimage.data import astronaut

    return np.ascontiguousarray(astronaut()[:300, 80:380])


def face(size: tuple[int, int], at_s: float) -> Image:
    """The portrait, filling the height, in the middle of a grey picture."""
    width, height = size
    side = min(width, height)
    image = np.full((height, width, 3), 110, np.uint8)
    top, left = (height - side) // 2, (width - side) // 2
    image[top : top + side, left : left + side] = cv2.resize(portrait(), (side, side))
    return image


def tone(rate: int, seconds: float, hz: float = 440.0, level: float = 0.3) -> NDArray[np.float32]:
    """A sine; with hz = 0 and level 0 it is silence."""
    wave = level * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)
    return wave.astype(np.float32)


def write_wav(path: Path, samples: NDArray[np.floating[Any]], rate: int) -> Path:
    """Mono samples in -1..1 as 16 bits."""
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def write(
    path: Path,
    *,
    seconds: float = 1.0,
    size: tuple[int, int] = (64, 48),
    fps: float = 25.0,
    times_s: Sequence[float] | None = None,
    draw: Callable[[tuple[int, int], float], Image] = pattern,
    rate: int = 16_000,
    layout: str = "mono",
    samples: NDArray[np.float32] | None = None,
    sound_from_s: float = 0.0,
    picture: bool = True,
    sound: bool = True,
    codec: str = "mpeg4",
) -> Path:
    """A clip of `seconds`; its container follows from the name of `path`.

    `times_s`: when each picture is shown (variable frame rate) instead of `fps`. `samples`: mono,
    put on every channel. `sound_from_s`: the first sample's time. Sound is PCM where the
    container can hold it, so that it comes back as it was.
    """
    with av.open(str(path), "w") as container:
        packets: list[tuple[float, av.Packet]] = []
        if picture:
            times = times_s or [n / fps for n in range(round(seconds * fps))]
            packets += _pictures(container, codec, size, Fraction(fps), times, draw)
        if sound:
            wave = tone(rate, seconds - sound_from_s) if samples is None else samples
            packets += _sound(container, path.suffix, rate, layout, wave, sound_from_s)
        for _, packet in sorted(packets, key=lambda timed: timed[0]):
            container.mux(packet)
    return path


def _pictures(
    container: av.container.OutputContainer,
    codec: str,
    size: tuple[int, int],
    fps: Fraction,
    times_s: Sequence[float],
    draw: Callable[[tuple[int, int], float], Image],
) -> list[tuple[float, av.Packet]]:
    stream = container.add_stream(codec, rate=fps.limit_denominator(1001))
    stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
    stream.codec_context.time_base = Fraction(1, 1000)
    stream.codec_context.thread_count = 1
    stream.bit_rate = 4_000_000
    packets = []
    for at_s in times_s:
        frame = av.VideoFrame.from_ndarray(draw(size, at_s), format="rgb24")
        frame.pts, frame.time_base = round(at_s * 1000), Fraction(1, 1000)
        packets += stream.encode(frame)
    packets += stream.encode(None)
    return [(float((p.dts or 0) * p.time_base), p) for p in packets]


def _sound(
    container: av.container.OutputContainer,
    suffix: str,
    rate: int,
    layout: str,
    wave: NDArray[np.float32],
    from_s: float,
) -> list[tuple[float, av.Packet]]:
    codec = SOUND_CODECS.get(suffix, "pcm_s16le")
    stream = container.add_stream(codec, rate=rate, layout=layout)
    planar = stream.codec_context.format.is_planar
    whole = np.tile(wave, (stream.layout.nb_channels, 1))
    if stream.codec_context.format.name.startswith("s"):
        bits = stream.codec_context.format.bits
        whole = (whole * (2.0 ** (bits - 1) - 1)).round().astype(f"int{bits}")
    packets = []
    for begin in range(0, whole.shape[1], CHUNK):
        part = whole[:, begin : begin + CHUNK]
        data = part if planar else part.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(data), format=stream.codec_context.format.name, layout=layout
        )
        frame.sample_rate = rate
        frame.pts, frame.time_base = round(from_s * rate) + begin, Fraction(1, rate)
        packets += stream.encode(frame)
    packets += stream.encode(None)
    return [(float((p.dts or 0) * p.time_base), p) for p in packets]


def write_tagged_song(path: Path, seconds: float = 1.0) -> Path:
    """An mp3 with a cover picture, as a music shop sells it."""
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        image = av.VideoFrame.from_ndarray(pattern((64, 64), 0.0), format="rgb24")
        packets = _sound(container, ".mp3", 44_100, "stereo", tone(44_100, seconds), 0.0)
        for packet in [*cover.encode(image), *cover.encode(None)]:
            container.mux(packet)
        for _, sound in packets:
            container.mux(sound)
    return path
