"""The wire contract: golden bytes, schemas, hostile frames."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normtr.cause import GAPS, Cause
from normtr.face import FaceRow
from normtr.face_detector import DetectedFace
from normtr.modality import Modality
from normtr.spec import LABELS, MODALITIES, FeatureSpec
from stream.pipeline.events import Seen
from stream.pipeline.outputs import Notice
from stream.pipeline.stages import CaptureDevice, Stage
from stream.publish.messages import Messages
from stream.publish.previews import LONGER_PX, Previews
from stream.views.labels_and_colours import CAUSE_LOOKS, MODALITY_LOOKS, NOTICE_TEXTS
from stream.wire import (
    AFFECT,
    FACE,
    FRAME,
    HEALTH,
    NOTIFY,
    TOPICS,
    Message,
    NoticeKind,
    WireError,
    decode,
    encode,
    schema,
)
from tests.support.messages import (
    PREVIEWS,
    PREVIEWS_OF,
    estimate,
    json_values,
    messages,
    outputs,
    seen,
)

CONTRACT = Path(__file__).parent / "wire_contract.json"


GOLDEN = {
    "er.v1.affect": "fdd362f8e2db68fb",
    "er.v1.face": "9a1d726090b0dbad",
    "er.v1.frame": "b262030f3c794051",
    "er.v1.health": "ddae5955189b315c",
    "er.v1.info": "b6e9a0c3927fa3d3",
    "er.v1.notify": "d1220d614aa84acd",
    "er.v1.text": "4189c60e7e718c75",
}


def test_golden_bytes() -> None:
    """Bytes that other programs were written against. Only an added key or cause changes them."""
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


@pytest.mark.parametrize("topic", TOPICS)
def test_schemas_are_schemas_and_require_every_key(topic: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(topic))
    assert set(schema(topic)["required"]) == set(schema(topic)["properties"])


def contract(node: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Path -> type, or the values, of everything that a schema describes."""
    out: dict[str, Any] = {}
    if path:
        values = node.get("enum") or ([node["const"]] if "const" in node else None)
        out[path] = {"values": values} if values else node.get("type", "any")
    for name, inner in node.get("properties", {}).items():
        out |= contract(inner, f"{path}.{name}" if path else name)
    for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(node.get(key), dict):
            out |= contract(node[key], path + mark)
    return out


def test_the_contract_of_version_1_is_kept() -> None:
    """What other programs may rely on: keys and values can be added, none goes or changes.

    After an addition: `python -m tests.test_wire` writes tests/wire_contract.json anew.
    """
    promised = json.loads(CONTRACT.read_text())
    assert set(promised) == set(TOPICS)
    for topic, paths in promised.items():
        now = contract(schema(topic))
        assert set(paths) <= set(now), topic
        for path, was in paths.items():
            if isinstance(was, dict):
                assert set(was["values"]) <= set(now[path]["values"]), (topic, path)
            else:
                assert was == now[path], (topic, path)


def test_a_face_is_told_with_its_own_probabilities_and_without_one_there_is_nothing() -> None:
    vector = np.ones(FeatureSpec().dims["face"], np.float32)
    source = Messages("0123456789abcdef", "f" * 64, LABELS)
    bodies = [
        body
        for row in (
            FaceRow("none", vector, DetectedFace((1.0, 2.0, 4.0, 8.0), ((1.0, 2.0),) * 5, 0.75)),
            FaceRow("no_face"),
        )
        for topic, body in PREVIEWS.of(seen(row), lambda topic: topic == FACE)
    ]
    for body in bodies:
        jsonschema.validate(source.envelope(FACE, 0, 0, body).payload, schema(FACE))
    with_face, without = bodies
    assert with_face["box"] == [1.0, 2.0, 3.0, 6.0]
    assert sum(with_face["probabilities"]) == pytest.approx(1.0)
    assert len(with_face["probabilities"]) == len(LABELS)
    assert (without["box"], without["landmarks"], without["probabilities"]) == (None, None, None)


@pytest.mark.parametrize("size", [(48, 64), (1080, 1920), (1920, 1080), (1, 4000)])
def test_a_preview_is_a_small_jpeg_of_the_same_shape(size: tuple[int, int]) -> None:
    picture = Seen(0, 0, np.full((*size, 3), (200, 30, 30), np.uint8), FaceRow("no_face"))
    ((_, body),) = PREVIEWS.of(picture, lambda topic: topic == FRAME)
    image = cv2.imdecode(np.frombuffer(body["jpeg"], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (body["height"], body["width"], 3)
    assert max(image.shape) <= LONGER_PX
    assert body["width"] / body["height"] == pytest.approx(size[1] / size[0], rel=0.02) or 1 in size
    assert image[0, 0, 2] > 150 > image[0, 0, 0]  # OpenCV's order: red comes last


def test_a_topic_that_was_not_asked_for_is_never_made() -> None:
    off = Previews(PREVIEWS_OF, faces=False, frames=False)
    assert list(off.of(seen(FaceRow("no_face")), lambda _: True)) == []


def test_affect_has_every_field_of_the_contract() -> None:
    payload = messages()[0].payload
    assert set(payload) >= {
        *("v", "session", "seq", "t_ns", "sent_ns", "labels", "probabilities", "top"),
        *("confidence", "abstained", "window", "gaps", "share", "latency_ms", "model"),
    }
    assert set(payload["gaps"]) == set(payload["share"]) == set(MODALITIES)
    assert payload["gaps"]["face"] == [*GAPS, Cause.NONE]
    assert payload["latency_ms"]["settle"] == 150.0
    assert payload["t_ns"] == payload["window"]["end_ns"] == 5_000_000_000


def test_the_schemas_know_the_causes_and_the_kinds_of_notices() -> None:
    """In any order; the enums are what the program uses."""
    gaps = schema(AFFECT)["properties"]["gaps"]["properties"]
    for modality in MODALITIES:
        assert set(gaps[modality]["items"]["enum"]) == set(Cause)
    assert set(schema(FACE)["properties"]["cause"]["enum"]) <= set(Cause)
    assert set(schema(NOTIFY)["properties"]["kind"]["enum"]) == set(NoticeKind)
    assert set(CAUSE_LOOKS) == set(Cause)
    assert set(NOTICE_TEXTS) == set(NoticeKind)


def test_the_schemas_know_the_modalities_and_the_devices() -> None:
    affect, health = schema(AFFECT)["properties"], schema(HEALTH)["properties"]
    assert set(affect["gaps"]["properties"]) == set(affect["share"]["properties"]) == set(Modality)
    assert set(health["fresh_share"]["properties"]) == {Modality.FACE, Modality.VOICE}
    assert set(health["sources"]["properties"]) == set(CaptureDevice)
    assert set(MODALITY_LOOKS) == set(MODALITIES) == set(Modality)


def test_enums_go_out_as_plain_text() -> None:
    for member in (*Modality, *CaptureDevice, *Stage):
        assert msgpack.packb({member: member}) == msgpack.packb({member.value: member.value})
        assert json.dumps({member: member}) == json.dumps({member.value: member.value})


def test_the_schema_names_every_gap_cause() -> None:
    gaps = schema(AFFECT)["properties"]["gaps"]["properties"]["face"]["items"]["enum"]
    assert gaps == [Cause.NONE, *GAPS]


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
    seqs += [m.payload["seq"] for m in source.of(0, estimate([Cause.NONE] * 16))]
    assert seqs == [0, 1, 2, 0]


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


if __name__ == "__main__":
    paths = {topic: contract(schema(topic)) for topic in sorted(TOPICS)}
    CONTRACT.write_text(json.dumps(paths, indent=1) + "\n")
