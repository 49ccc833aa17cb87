"""Turns the outputs of the pipe into the messages of one session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, assert_never

from stream.pipeline.events import Seen, TranscriptEvent
from stream.pipeline.outputs import HealthReport, Notice, Output
from stream.pipeline.window_assembler import Estimate
from stream.wire import AFFECT, HEALTH, NOTIFY, TEXT, VERSION, Message


class Messages:
    """Makes the messages of one session and counts `seq` for each topic."""

    def __init__(self, session: str, model: str, labels: tuple[str, ...], source: str = "") -> None:
        """`source` names all sources; messages that are about no single source bear it."""
        self.session = session
        self._source = source
        self._model = model
        self._labels = list(labels)
        self._seq: Counter[str] = Counter()

    def of(self, sent_ns: int, output: Output) -> Iterator[Message]:
        """Yield the messages of one output of the pipe."""
        match output:
            case Estimate():
                body = self._affect(sent_ns, output)
                end_ns = output.window.end_ns
                yield self.envelope(AFFECT, end_ns, sent_ns, body, output.source)
            case HealthReport():
                body = asdict(output)
                yield self.envelope(HEALTH, body.pop("at_ns"), sent_ns, body, body.pop("source"))
            case Notice():
                body = {"kind": output.kind, "modality": output.modality, "detail": output.detail}
                yield self.envelope(NOTIFY, output.at_ns, sent_ns, body, output.source)
            case TranscriptEvent():
                for change in output.changes:
                    word = change.word
                    body = {
                        "change": change.change,
                        "id": word.id,
                        "word": word.word.text,
                        "begin_ns": word.word.begin_ns,
                        "end_ns": word.word.end_ns,
                        "probability": word.probability,
                        "ready_ns": output.ready_ns,
                        "horizon_ns": output.horizon_ns,
                    }
                    yield self.envelope(TEXT, word.word.end_ns, sent_ns, body, output.source)
            case Seen():
                pass  # previews are made only of what somebody asked for
            case _:
                assert_never(output)

    def envelope(
        self, topic: str, t_ns: int, sent_ns: int, body: Mapping[str, Any], source: str = ""
    ) -> Message:
        """Put the envelope around `body` and count it; an empty `source` means the whole
        session."""
        seq = self._seq[topic]
        self._seq[topic] += 1
        envelope = {
            "v": VERSION,
            "session": self.session,
            "source": source or self._source,
            "seq": seq,
            "t_ns": t_ns,
            "sent_ns": sent_ns,
        }
        return Message(topic, {**envelope, **body})

    def _affect(self, sent_ns: int, estimate: Estimate) -> dict[str, Any]:
        window, prediction = estimate.window, estimate.prediction
        return {
            "labels": self._labels,
            "probabilities": list(prediction.probabilities),
            "top": prediction.top,
            "confidence": prediction.confidence,
            "abstained": prediction.abstained,
            "window": {
                "begin_ns": window.begin_ns,
                "end_ns": window.end_ns,
                "step_ns": window.step_ns,
                "steps": window.steps,
            },
            "gaps": {modality: list(causes) for modality, causes in window.gaps.items()},
            "smoothed": None if estimate.smoothed is None else asdict(estimate.smoothed),
            "share": prediction.share,
            "latency_ms": {
                "settle": (estimate.tick_ns - window.end_ns) / 1e6,
                "compute": (sent_ns - estimate.tick_ns) / 1e6,
                "total": (sent_ns - window.end_ns) / 1e6,
            },
            "model": self._model,
        }
