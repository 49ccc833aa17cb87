"""Talks over the wire on threads of their own, so that the window never waits for it."""

from __future__ import annotations

import queue
import threading

from PySide6.QtCore import QObject, Signal

from normtr.errors import UserError
from stream.client import Control, Keys, Received, subscribe
from stream.wire import AFFECT, INFO, NOTIFY

LOOK_S = 0.25
"""This is how often a thread looks whether it is to end."""
BREATH_S = 0.04
"""The pause between two looks at what arrived: nobody sees more than 25 pictures a second."""
ANSWER_S = 2.0


class Feed(QObject):
    """Emits `arrived` when there is something to `take`: the newest message of each topic and
    source."""

    arrived = Signal()

    def __init__(self, address: str, keys: Keys | None) -> None:
        """Subscribe; nobody need publish at the address yet.

        Raises UserError when the address or a key is not valid.
        """
        super().__init__()
        # The overlay needs no words (er.v1.text) and no pictures.
        self._subscription = subscribe(
            AFFECT, INFO, NOTIFY, address=address, newest=True, keys=keys
        )
        self._waiting: dict[tuple[str, str], Received] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin to listen; connect to `arrived` before, or it is missed for good."""
        self._thread.start()

    def take(self) -> list[Received]:
        with self._lock:
            messages = list(self._waiting.values())
            self._waiting.clear()
        return messages

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        with self._subscription as subscription:
            while not self._closing.is_set():
                try:
                    message = subscription.receive(LOOK_S)
                except TimeoutError:
                    continue
                if self._keep(message):
                    self.arrived.emit()
                    self._closing.wait(BREATH_S)

    def _keep(self, message: Received) -> bool:
        """Keep the message; return whether nothing was waiting before."""
        with self._lock:
            first = not self._waiting
            self._waiting[message.topic, message.source] = message
        return first


class Asker(QObject):
    """Sends requests to the control port; emits `refused` with a sentence when one fails."""

    refused = Signal(str)

    def __init__(self, address: str, keys: Keys | None) -> None:
        """Connect. Raises UserError when the address or a key is not valid."""
        super().__init__()
        self._address = address
        self._control = Control(address, timeout_s=ANSWER_S, keys=keys)
        self._requests: queue.SimpleQueue[tuple[str, dict[str, str]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def ask(self, verb: str, **arguments: str) -> None:
        self._requests.put((verb, arguments))

    def close(self) -> None:
        """End after the answer that is being waited for, if any."""
        self._requests.put(None)

    def _run(self) -> None:
        with self._control as control:
            while (request := self._requests.get()) is not None:
                verb, arguments = request
                try:
                    control.ask(verb, **arguments)
                except TimeoutError:
                    self.refused.emit(f"cannot {verb}: {self._address} does not answer")
                except UserError as error:
                    self.refused.emit(str(error))
