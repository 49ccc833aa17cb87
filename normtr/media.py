"""Reads any file or URL as pictures and sound with their times, through one demuxer (PyAV)."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from normtr import source_file
from normtr.errors import UserError

INTERLEAVE_S = 4.0
"""A file may store pictures and sound of one time this far apart; beyond, some come late."""
REORDER_NS = 500_000_000
"""Decoders hold frames back for about this long."""
BLOCKS_PER_S = 50
"""Sound is cut into blocks as short as a device's; a file's own blocks may last half a second."""
MAX_JUMP_NS = 600_000_000_000
"""An item this far after everything before it has a damaged time and is left out."""
MIX = {"LFE": 0.0, "FC": 1.0, "FL": 0.71, "FR": 0.71}
"""The weight of each loudspeaker in the mono mix; the weights are then scaled to the sum 1."""
MIX_OTHERS = 0.5


@dataclass(frozen=True)
class Picture:
    """One frame, `at_ns` after the start of the clip. It is converted only when it is looked at."""

    at_ns: int
    end_ns: int
    frame: av.VideoFrame

    @property
    def arrival_ns(self) -> int:
        """The time at which a camera would have handed it over."""
        return self.at_ns

    def image(self) -> NDArray[np.uint8]:
        """Return the frame upright, as RGB uint8 [H, W, 3]."""
        rgb: NDArray[np.uint8] = self.frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
        turns = round(getattr(self.frame, "rotation", 0) / 90) % 4
        return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb


@dataclass(frozen=True)
class Piece:
    """Mono float32 samples at `rate` Hz; the first one lies `at_ns` after the start of the clip."""

    at_ns: int
    samples: NDArray[np.float32]
    rate: int

    @property
    def end_ns(self) -> int:
        return self.at_ns + len(self.samples) * 1_000_000_000 // self.rate

    @property
    def arrival_ns(self) -> int:
        """The time at which a microphone would have handed it over: the time of its last sample."""
        return self.end_ns


def _name(source: str) -> str:
    """Return the name of a file or URL that others may see, without folder, password and query."""
    if "://" not in source:
        return Path(source).name or source
    address = re.split(r"[?#]", source)[0]
    return Path(address).name.rpartition("@")[2]


class Media:
    """An opened clip. Raises UserError naming the source when it cannot be used."""

    def __init__(self, source: str) -> None:
        self.name = _name(source)
        self._source = source
        source_file.check(source)
        try:
            # Scripts and playlists would let a file name other files and hosts.
            self._container = av.open(
                source if "://" in source else f"file:{source}",  # a name may hold a colon
                timeout=10.0,
                options={"protocol_whitelist": _protocols(source)},
                metadata_errors="replace",
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise UserError(f"{self.name} cannot be read as a clip: {_reason(error)}.") from None
        if self._container.format.name == "tty":  # FFmpeg draws any text as a picture
            self.close()
            raise UserError(f"{self.name} is a text, not a clip.")
        if self._container.format.name == "ea_cdata":  # FFmpeg guesses it from four bytes
            self.close()
            raise UserError(f"{self.name} cannot be read as a clip: it is no media file.")
        videos = [
            s
            for s in self._container.streams.video
            if not s.disposition & av.stream.Disposition.attached_pic
        ]
        audios = self._container.streams.audio
        self._video = videos[0] if videos else None
        self._audio = audios[0] if audios else None
        if self._video is None and self._audio is None:
            self.close()
            raise UserError(f"{self.name} has neither a picture nor a sound stream.")
        start = self._container.start_time
        self._start_ns = 0 if start is None else start * 1000
        self.has_picture = self._video is not None
        self.has_sound = self._audio is not None

    def __enter__(self) -> Media:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()

    @property
    def picture_size(self) -> tuple[int, int] | None:
        """The height and width that the file states; None when there is no picture."""
        if self._video is None or not self._video.height:
            return None
        return self._video.height, self._video.width

    @property
    def stated_ns(self) -> int | None:
        """The length that the clip states; None when it states none."""
        duration = self._container.duration
        return None if duration is None else duration * 1000

    def __iter__(self) -> Iterator[Picture | Piece]:
        """Yield items in the order of their arrival, as far as the file's interleaving allows.

        A stream that is damaged in the middle ends there. Raises UserError when nothing can be
        decoded.
        """
        waiting: list[tuple[int, int, Picture | Piece]] = []
        newest_ns = count = 0
        for item in self._decoded():
            if item.at_ns > newest_ns + MAX_JUMP_NS:
                continue
            count += 1
            heapq.heappush(waiting, (item.arrival_ns, count, item))
            newest_ns = max(newest_ns, item.arrival_ns)
            while waiting and waiting[0][0] < newest_ns - REORDER_NS:
                yield heapq.heappop(waiting)[2]
        while waiting:
            yield heapq.heappop(waiting)[2]
        if not count:
            raise UserError(f"{self.name} holds nothing that can be decoded.")

    def _decoded(self) -> Iterator[Picture | Piece]:
        chosen = [s for s in (self._video, self._audio) if s is not None]
        mixer: AudioResampler | None = None
        mixed_from: tuple[object, ...] = ()
        next_ns = {"video": 0, "audio": 0}
        for packet in self._packets(chosen):
            try:
                frames = packet.decode()
            except (av.FFmpegError, OSError):
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    at_ns = self._at_ns(frame, next_ns["video"])
                    length_ns = int((frame.duration or 0) * (frame.time_base or 0) * 1_000_000_000)
                    next_ns["video"] = at_ns + (min(length_ns, MAX_JUMP_NS) or 40_000_000)
                    yield Picture(at_ns, next_ns["video"], frame)
                elif isinstance(frame, av.AudioFrame) and frame.sample_rate:
                    at_ns = self._at_ns(frame, next_ns["audio"])
                    kind = (frame.format.name, frame.layout.name, frame.sample_rate)
                    if mixer is None or kind != mixed_from:
                        mixer = AudioResampler("flt", frame.layout, frame.sample_rate)
                        mixed_from = kind
                    frame.pts = None
                    parts = [_mono(f) for f in mixer.resample(frame)]
                    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
                    block = max(1, frame.sample_rate // BLOCKS_PER_S)
                    for begin in range(0, len(samples), block):
                        begin_ns = at_ns + begin * 1_000_000_000 // frame.sample_rate
                        piece = Piece(begin_ns, samples[begin : begin + block], frame.sample_rate)
                        next_ns["audio"] = piece.end_ns
                        yield piece

    def _packets(self, streams: list[av.VideoStream | av.AudioStream]) -> Iterator[av.Packet[Any]]:
        """Yield the packets in the order of time. They are still compressed, so that waiting costs
        little."""
        waiting: list[tuple[float, int, av.Packet[Any]]] = []
        newest_s = 0.0
        try:
            for count, packet in enumerate(self._container.demux(*streams)):
                if packet.dts is None:  # the last of its stream: it empties the decoder
                    at_s = float("inf") if not packet.size else newest_s
                else:
                    at_s = float(packet.dts * packet.time_base)
                    newest_s = max(newest_s, at_s)
                heapq.heappush(waiting, (at_s, count, packet))
                while waiting and waiting[0][0] < newest_s - INTERLEAVE_S:
                    yield heapq.heappop(waiting)[2]
        except (av.FFmpegError, OSError):
            pass  # a file that breaks off: what came before counts
        while waiting:
            yield heapq.heappop(waiting)[2]

    def _at_ns(self, frame: av.VideoFrame | av.AudioFrame, expected_ns: int) -> int:
        if frame.pts is None or frame.time_base is None:
            return expected_ns
        return int(frame.pts * frame.time_base * 1_000_000_000) - self._start_ns


def _mono(frame: av.AudioFrame) -> NDArray[np.float32]:
    """Return the weighted mean of interleaved float channels; more of them are not louder."""
    weights = np.array([MIX.get(c.name, MIX_OTHERS) for c in frame.layout.channels], np.float32)
    if not weights.any():
        weights += 1.0
    channels = frame.to_ndarray().reshape(-1, len(weights))
    return np.asarray(channels @ (weights / weights.sum()), np.float32)


def _protocols(source: str) -> str:
    scheme = source.split("://")[0] if "://" in source else "file"
    return f"{scheme},file,crypto,data,tcp,tls,udp,rtp,http,https" if scheme != "file" else "file"


def _reason(error: Exception) -> str:
    if isinstance(error, av.InvalidDataError | av.EOFError):
        return "it is no media file, or a damaged one"
    text = getattr(error, "strerror", None) or str(error)
    return str(text).splitlines()[0].rstrip(".")
