"""A clip as a source: it gives the packets of a file or URL, in real time or as they come."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

from normtr.cause import Cause
from normtr.errors import UserError
from normtr.media import Media, Picture, Piece
from stream.clock import Clock
from stream.pipeline.ingest import ClipReceiver
from stream.pipeline.stages import CaptureDevice

BLOCK_NS = 100_000_000
"""No block of sound is longer than this."""


def conditions(media: Media, ingest: ClipReceiver, at_ns: int) -> None:
    """Tell which tracks the clip lacks."""
    if not media.has_picture:
        ingest.condition(
            CaptureDevice.CAMERA, Cause.NO_TRACK, at_ns, f"{media.name} has no picture"
        )
    if not media.has_sound:
        ingest.condition(
            CaptureDevice.MICROPHONE, Cause.NO_TRACK, at_ns, f"{media.name} has no sound"
        )


def feed(item: Picture | Piece, ingest: ClipReceiver) -> None:
    """Hand one packet in, as a device would."""
    at_ns = ingest.origin_ns + item.at_ns
    if isinstance(item, Picture):
        ingest.picture(at_ns, item.image)
    else:
        ingest.sound(at_ns, item.samples, item.rate, Cause.STALLED)


def repeated(source: str, first: Media, until_ns: int | None) -> Iterator[Picture | Piece]:
    """Yield the clip again and again, with times that continue, until `until_ns`.

    None means once.
    """
    shift_ns = end_ns = 0
    media = first
    while True:
        for item in media:
            shifted = replace(item, at_ns=item.at_ns + shift_ns)
            if isinstance(shifted, Picture):
                shifted = replace(shifted, end_ns=shifted.end_ns + shift_ns)
            end_ns = max(end_ns, shifted.end_ns)
            yield shifted
        media.close()
        if until_ns is None or end_ns >= until_ns:
            return
        shift_ns = end_ns
        media = Media(source)


def begun(items: Iterator[Picture | Piece], until_ns: int | None) -> Iterator[Picture | Piece]:
    """Yield what begins before `until_ns`; None means everything.

    The sound block that lies across the end arrives after it and is included.
    """
    for item in items:
        if until_ns is not None and item.arrival_ns > until_ns + BLOCK_NS:
            return
        if until_ns is None or item.at_ns < until_ns:
            yield item


class RealTimeClip:
    """Plays a clip against the clock, from a thread of its own."""

    devices: tuple[CaptureDevice, ...] = ()

    def __init__(self, source: str, seconds: float | None, repeat: bool) -> None:
        """Open the clip. Raises UserError when it cannot be opened."""
        self.media = Media(source)
        self.error: UserError | None = None
        self._source = source
        self._until_ns = None if seconds is None else round(seconds * 1e9)
        self._repeat = repeat
        self._stop = threading.Event()

    def start(self, ingest: ClipReceiver, clock: Clock) -> None:
        threading.Thread(target=self._play, args=(ingest, clock), name="clip", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _play(self, ingest: ClipReceiver, clock: Clock) -> None:
        conditions(self.media, ingest, ingest.origin_ns)
        end_ns = 0
        try:
            again = self._until_ns if self._repeat else None
            items = repeated(self._source, self.media, again)
            for item in begun(items, self._until_ns):
                wait_ns = ingest.origin_ns + item.arrival_ns - clock.now_ns()
                if self._stop.wait(max(wait_ns, 0) / 1e9):
                    return
                end_ns = max(end_ns, item.end_ns)
                feed(item, ingest)
        except UserError as error:
            self.error = error
        if self._until_ns is not None:
            end_ns = min(end_ns, self._until_ns)
        for device in CaptureDevice:
            ingest.end(device, ingest.origin_ns + end_ns, str(self.error or ""))
