"""Says when the frames of a camera were taken, and which of them waited too long in a queue."""

from __future__ import annotations

from collections import deque

MAX_QUEUED_NS = 100_000_000
"""A frame that waited longer is not used, since a newer one follows."""
WINDOW_NS = 5_000_000_000
"""The least delay within this time is the delay of a frame that did not wait."""
LEARN_NS = 300_000_000
"""A stream begins with frames that waited for us, so its clock is learned for this long first."""
JUMP_NS = 300_000_000
"""When all frames of this time seem to have waited, the device's clock has jumped."""
SAME_CLOCK_NS = 5_000_000_000
"""A device's time that lies this little before the frame's arrival is from our own clock (V4L2)."""


class FrameClock:
    """Maps the times of one stream of frames to our clock.

    A device tells the time of our own clock (V4L2), or the time since some moment of its own
    (streams, Media Foundation), or none (AVFoundation, which keeps only the newest frame).
    """

    def __init__(self) -> None:
        self._delays: deque[tuple[int, int]] = deque()  # arrival and delay, the least one first
        self._late_from_ns: int | None = None
        self._learned_ns: int | None = None

    def taken_ns(self, arrival_ns: int, device_ns: int | None) -> int | None:
        """Return when the frame was taken; None if it waited too long.

        `device_ns` is the device's time; None if it tells none.
        """
        if device_ns is None:
            return arrival_ns
        delay_ns = arrival_ns - device_ns
        ours = 0 <= delay_ns < SAME_CLOCK_NS
        if self._learned_ns is None:
            self._learned_ns = arrival_ns + (0 if ours else LEARN_NS)
        if self._delays and delay_ns - self._delays[0][1] > MAX_QUEUED_NS:
            if self._late_from_ns is None:
                self._late_from_ns = arrival_ns
            if arrival_ns - self._late_from_ns < JUMP_NS:
                return None
            self._delays.clear()
        self._late_from_ns = None
        while self._delays and self._delays[-1][1] >= delay_ns:
            self._delays.pop()
        self._delays.append((arrival_ns, delay_ns))
        while self._delays[0][0] < arrival_ns - WINDOW_NS:
            self._delays.popleft()
        if arrival_ns < self._learned_ns:
            return None
        return device_ns if ours else device_ns + self._delays[0][1]
