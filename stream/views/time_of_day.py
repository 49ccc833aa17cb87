"""Says when something happened, as a reader's own clock shows it."""

from __future__ import annotations

import time
from datetime import datetime

from stream.client.received import Info, Received
from stream.views import status_line


class TimeOfDay:
    """Takes all messages of one session after another as they arrive.

    A session's `info` contains a pair of clocks. Until it comes, a message counts as sent when it
    arrived. In virtual time, and in a recording without `info`, seconds are told instead.
    """

    def __init__(self) -> None:
        self._session: str | None = None
        self._utc_ahead_ns: int | None = None
        self._begin_ns = 0

    def add(self, message: Received) -> None:
        if message.session != self._session:
            self._session, self._begin_ns = message.session, message.t_ns
            self._utc_ahead_ns = None if message.replay else time.time_ns() - message.sent_ns
        if isinstance(message, Info):
            clock, self._begin_ns = message.clock, message.origin_ns
            if clock.monotonic_ns is None or clock.utc_ns is None:
                self._utc_ahead_ns = None
            else:
                self._utc_ahead_ns = clock.utc_ns - clock.monotonic_ns

    def of(self, t_ns: int) -> str:
        """Return a time of the session heard last as text: `14:03:22.25`, or `   12.25 s`."""
        if self._utc_ahead_ns is None:
            return f"{status_line.since(self._begin_ns, t_ns):>11}"
        second, rest_ns = divmod(t_ns + self._utc_ahead_ns, 10**9)
        return f"{datetime.fromtimestamp(second):%H:%M:%S}.{rest_ns // 10**7:02}"
