"""Sends estimates to Lab Streaming Layer: a channel for each label, and one for abstention.

Lab Streaming Layer has no keys: everyone on the network can read what is sent.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from normtr.errors import UserError
from stream.publish.sink import Sink
from stream.wire import AFFECT, Message

if TYPE_CHECKING:
    from stream.pipeline.outputs import Output

ABSTAINED = "abstained"
READINGS = 5


class LslOutlets(Sink):
    """One stream for each source, opened with its first estimate. Used by one thread."""

    def __init__(self) -> None:
        """Load pylsl. Raises UserError when it is missing or has no library to work with."""
        try:
            import pylsl
        except (ImportError, RuntimeError) as error:
            raise UserError(
                f"--lsl needs the package pylsl ({error}); type: pip install 'normtr[lsl]'"
            ) from None
        self._pylsl = pylsl
        self._outlets: dict[str, Any] = {}

    def take(self, messages: Sequence[Message], output: Output | None = None) -> None:
        for message in messages:
            if message.topic == AFFECT:
                self.push(message.payload)

    def push(self, affect: Mapping[str, Any]) -> None:
        """Send the probabilities of an `affect` payload, and 1 if it is abstained from, else 0.

        The sample's time is the end of the window, on LSL's clock.
        """
        source = affect.get("source", "")
        if source not in self._outlets:
            self._outlets[source] = self._open(affect, source)
        sample = [*affect["probabilities"], float(affect["abstained"])]
        self._outlets[source].push_sample(sample, affect["t_ns"] / 1e9 + self.ahead_s())

    def close(self) -> None:
        self._outlets.clear()  # pylsl closes what nobody holds

    def ahead_s(self) -> float:
        """Return how far LSL's clock is ahead of our monotonic one, in seconds.

        The fastest of several readings counts: a busy machine may stop us in between.
        """
        readings = []
        for _ in range(READINGS):
            before_s = time.monotonic()
            lsl_s: float = self._pylsl.local_clock()
            after_s = time.monotonic()
            readings.append((after_s - before_s, lsl_s - (before_s + after_s) / 2))
        return min(readings)[1]

    def _open(self, affect: Mapping[str, Any], source: str) -> Any:
        labels: Sequence[str] = [*affect["labels"], ABSTAINED]
        info = self._pylsl.StreamInfo(
            name=f"normtr {source}".strip(),
            type="Emotion",
            channel_count=len(labels),
            nominal_srate=1e9 / affect["window"]["step_ns"],
            channel_format="float32",
            source_id=f"normtr:{platform.node()}:{source}",  # the same after a restart
        )
        info.set_channel_labels(labels)
        info.set_channel_units(["probability"] * (len(labels) - 1) + ["boolean"])
        info.desc().append_child_value("model", affect["model"])
        info.desc().append_child_value("session", affect["session"])
        return self._pylsl.StreamOutlet(info)
