"""The smoothed label: calmer than the raw one, never instead of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from normtr import checkpoint
from normtr.cause import Cause
from normtr.predictor import Prediction
from normtr.shipped import SHIPPED
from normtr.spec import LABELS, FeatureSpec
from normtr.window import Window, assemble
from stream.commands import live
from stream.pipeline.smoothing import Smoothed, Smoother
from stream.session.session import DEMO
from tests.support.recorded import payloads

pytestmark = pytest.mark.slow

SPEC = FeatureSpec()


@pytest.fixture
def smoother() -> Smoother:
    return Smoother(1.0, checkpoint.load(SHIPPED))


def window(step: int, valid: bool) -> Window:
    columns = {
        m: [(Cause.NONE, np.ones(dim, np.float32)) if valid else ("stalled", None)] * SPEC.steps
        for m, dim in SPEC.dims.items()
    }
    return assemble(SPEC, step * SPEC.step_ns, columns)


def prediction(label: str, p: float = 0.9) -> Prediction:
    rest = (1 - p) / (len(LABELS) - 1)
    probabilities = tuple(p if name == label else rest for name in LABELS)
    return Prediction(probabilities, label, p, False, dict.fromkeys(SPEC.dims, 0.0))


def run(smoother: Smoother, said: str, begin: int = 0) -> list[Smoothed | None]:
    """`said`: a letter a step, a for angry, s for sad, . for nothing valid."""
    names = {"a": "angry", "s": "sad", ".": "neutral"}
    return [
        smoother(window(begin + n, letter != "."), prediction(names[letter]))
        for n, letter in enumerate(said)
    ]


def tops(found: list[Smoothed | None]) -> str:
    return "".join("." if s is None else s.top[0] for s in found)


def test_what_does_not_change_stays_as_it_is(smoother: Smoother) -> None:
    for found in run(smoother, "aaaa"):
        assert found is not None
        assert (found.top, found.abstained) == ("angry", False)
        assert found.confidence == pytest.approx(0.9)


def test_a_short_flicker_does_not_show_and_a_lasting_change_does(smoother: Smoother) -> None:
    assert tops(run(smoother, "aaaaasaaaasa")) == "a" * 12
    assert tops(run(smoother, "ssssssss", 12)) == "aassssss"


def test_between_two_alike_it_does_not_waver_and_says_that_it_is_too_little(
    smoother: Smoother,
) -> None:
    found = run(smoother, "a" * 8 + "sa" * 10)
    assert tops(found)[8:] == "a" * 20
    assert found[-1] is not None
    assert found[-1].abstained
    assert 0.4 < found[-1].confidence < 0.6


def test_a_window_without_anything_ends_it_and_the_next_begins_anew(smoother: Smoother) -> None:
    assert tops(run(smoother, "aaaa..ss")) == "aaaa..ss"


def test_skipped_ticks_count_as_time(smoother: Smoother) -> None:
    run(smoother, "aaaa")
    assert tops(run(smoother, "s", begin=40)) == "s"


def test_it_is_published_beside_the_raw_probabilities_where_asked_for(tmp_path: Path) -> None:
    raw, smooth = tmp_path / "raw.jsonl", tmp_path / "smooth.jsonl"
    common = ["--source", str(DEMO), "--fast", "--text", "off", "--seconds", "5"]
    assert live.run([*common, "--record", str(raw)]) == 0
    assert live.run([*common, "--record", str(smooth), "--smoothing", "1"]) == 0
    plain, calmer = payloads(raw, "er.v1.affect"), payloads(smooth, "er.v1.affect")
    same = ("probabilities", "top", "confidence", "abstained")
    assert [{k: a[k] for k in same} for a in plain] == [{k: a[k] for k in same} for a in calmer]
    assert all(a["smoothed"] is None for a in plain)
    assert all(set(a["smoothed"]) == {"top", "confidence", "abstained"} for a in calmer[1:])


@pytest.mark.parametrize("seconds", ["0", "-1", "61"])
def test_a_time_that_is_none_is_refused(seconds: str) -> None:
    with pytest.raises(Exception, match="smoothing lies over 0"):
        live.run(["--source", str(DEMO), "--fast", "--smoothing", seconds])
