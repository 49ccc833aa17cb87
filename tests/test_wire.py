"""The wire contract: golden bytes, schemas, hostile frames."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import jsonschema
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normtr.judge import Judgement
from normtr.spec import LABELS, MODALITIES, FeatureSpec
from normtr.text import TimedWord
from normtr.window import CAUSES, NONE, assemble
from stream.events import Heard, Word, WordChange
from stream.messages import Messages
from stream.outputs import Health, Notice, Output, SourceHealth
from stream.recognizer import Estimate
from stream.wire import AFFECT, INFO, Message, WireError, decode, encode, schema


def estimate(causes: list[str]) -> Estimate:
    spec = FeatureSpec()
    columns = {
        m: [(c, np.ones(dim, np.float32) if c == NONE else None) for c in causes]
        for m, dim in spec.dims.items()
    }
    window = assemble(spec, 1_000_000_000, columns)
    share = window.share
    judgement = Judgement((0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1), "angry", 0.4, False, share)
    return Estimate(19, window, judgement, window.end_ns + 150_000_000, 2)


def outputs() -> list[Output]:
    word = Word(3, TimedWord("hello", 10, 20), 0.5, True)
    source = SourceHealth(True, 25.0, 0, 12.5)
    dead = SourceHealth(False, 0.0, 4, None)
    return [
        estimate([*CAUSES, NONE, NONE]),
        Health(
            5,
            {"camera": source, "microphone": dead},
            {"face": {"p50_ms": 1.0, "p95_ms": 2.0}, "voice": None},
            None,
            {"face": 1.0, "voice": None},
            {"face": 2, "voice": 0},
            2,
        ),
        Notice("device_lost", 7, "face", "unplugged"),
        Heard((word,), (WordChange("commit", word),), 30, 40),
    ]


def messages() -> list[Message]:
    source = Messages("0123456789abcdef", "f" * 64, LABELS, "clip.mp4")
    return [message for n, out in enumerate(outputs()) for message in source.of(n, out)]


GOLDEN = {
    "er.v1.affect": "4d7cd8737bbcc279",
    "er.v1.health": "ddae5955189b315c",
    "er.v1.notify": "d1220d614aa84acd",
    "er.v1.text": "4189c60e7e718c75",
}


def test_golden_bytes() -> None:
    """Bytes that other programs were written against. Only an added key changes them."""
    got = {
        message.topic: hashlib.sha256(b"".join(encode(message))).hexdigest()[:16]
        for message in messages()
    }
    assert got == GOLDEN


def test_a_whole_message_byte_by_byte() -> None:
    message = next(
        Messages("0123456789abcdef", "", LABELS, "a.mp4").of(9, Notice("stopping", 7, None, ""))
    )
    assert encode(message) == (
        b"er.v1.notify",
        b"\x89\xa1v\x01\xa7session\xb00123456789abcdef\xa6source\xa5a.mp4\xa3seq\x00\xa4t_ns\x07\xa7sent_ns\x09"
        b"\xa4kind\xa8stopping\xa8modality\xc0\xa6detail\xa0",
    )


@pytest.mark.parametrize("message", messages(), ids=lambda message: message.topic)
def test_payloads_follow_their_schema(message: Message) -> None:
    jsonschema.validate(message.payload, schema(message.topic))
    assert decode(list(encode(message))) == message


@pytest.mark.parametrize("topic", [message.topic for message in messages()] + [INFO])
def test_schemas_are_schemas_and_require_every_key(topic: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(topic))
    assert set(schema(topic)["required"]) == set(schema(topic)["properties"])


def test_affect_has_every_field_of_the_contract() -> None:
    payload = messages()[0].payload
    assert set(payload) >= {
        *("v", "session", "seq", "t_ns", "sent_ns", "labels", "probabilities", "top"),
        *("confidence", "abstained", "window", "gaps", "share", "latency_ms", "model"),
    }
    assert set(payload["gaps"]) == set(payload["share"]) == set(MODALITIES)
    assert payload["gaps"]["face"] == [*CAUSES, NONE, NONE]
    assert payload["latency_ms"]["settle"] == 150.0
    assert payload["t_ns"] == payload["window"]["end_ns"] == 5_000_000_000


def test_the_schema_names_every_gap_cause() -> None:
    gaps = schema(AFFECT)["properties"]["gaps"]["properties"]["face"]["items"]["enum"]
    assert gaps == [NONE, *CAUSES]


def test_what_is_said_of_one_source_bears_its_name_and_the_rest_that_of_all() -> None:
    source = Messages("s" * 16, "", LABELS, "a.mp4, b.mp4")
    given = [replace(output, source="b.mp4") for output in outputs()] + [Notice("stopping", 7)]
    told = [message for output in given for message in source.of(0, output)]
    names = ["b.mp4"] * 4 + ["a.mp4, b.mp4"]
    assert [message.payload["source"] for message in told] == names
    assert [message.payload["seq"] for message in told] == [0, 0, 0, 0, 1]


def test_seq_counts_per_topic() -> None:
    source = Messages("s" * 16, "", LABELS)
    seqs = [m.payload["seq"] for _ in range(3) for m in source.of(0, Notice("paused", 0))]
    seqs += [m.payload["seq"] for m in source.of(0, estimate([NONE] * 16))]
    assert seqs == [0, 1, 2, 0]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.binary(max_size=300) | json_values.map(lambda value: msgpack.packb(value)), max_size=4
    )
)
def test_hostile_frames_are_refused_with_a_wire_error(frames: list[bytes]) -> None:
    try:
        message = decode([b"er.v1.affect", *frames[1:]] if len(frames) > 1 else frames)
    except WireError:
        return
    assert isinstance(message.payload, dict)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x91" * 100_000,
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x80" * 1_000_001,
        b"\x81\x01\x02",
        b"\xc1",
    ],
    ids=["nested", "huge map", "huge binary", "too large", "key no string", "no msgpack"],
)
def test_bombs_are_refused(payload: bytes) -> None:
    with pytest.raises(WireError):
        decode([b"er.v1.affect", payload])
