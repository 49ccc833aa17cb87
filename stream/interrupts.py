"""Handles Ctrl-C, the service manager's SIGTERM and the SIGHUP of a closed terminal."""

from __future__ import annotations

import signal


class Interrupts:
    """Lets signals end the session between two outputs, so that no output is torn.

    Before the session, and on a second Ctrl-C, they end the program at once.
    """

    def __init__(self) -> None:
        self.running = False
        self.asked: int | None = None
        """The signal that asked for the end; None if none did."""
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGTERM, self._ask)
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:  # as nohup does
            signal.signal(hangup, self._ask)

    @property
    def status(self) -> int:
        """The exit status: 130 after Ctrl-C, otherwise 0."""
        return 130 if self.asked == signal.SIGINT else 0

    def _ask(self, number: int, _: object) -> None:
        again, self.asked = self.asked is not None, number
        if not self.running or (again and number == signal.SIGINT):
            raise KeyboardInterrupt
