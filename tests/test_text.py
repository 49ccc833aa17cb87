"""Timed words -> one row per step, in the context of the recent words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normtr.errors import UserError
from normtr.spec import TextSpec
from normtr.text import TextEncoder, TimedWord

MS = 1_000_000
STEP = 250 * MS
STEPS = 16
SECOND = 1000 * MS


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder(TextSpec())


def said(text: str, from_ms: int = 0, each_ms: int = 250) -> list[TimedWord]:
    """One word after the other, each lasting `each_ms`."""
    starts = [(from_ms + n * each_ms) * MS for n in range(len(text.split()))]
    words = zip(text.split(), starts, strict=True)
    return [TimedWord(word, begin, begin + each_ms * MS) for word, begin in words]


def steps_with_rows(encoder: TextEncoder, words: Sequence[TimedWord], begin_ns: int) -> list[int]:
    rows = encoder.rows(words, begin_ns, STEP, STEPS)
    assert len(rows) == STEPS
    return [step for step, row in enumerate(rows) if row is not None]


def test_rows_are_a_pure_function_of_the_words(encoder: TextEncoder) -> None:
    words = said("I am so happy today")
    first = encoder.rows(words, 0, STEP, STEPS)
    encoder.rows(said("and now something completely different"), 0, STEP, STEPS)
    again = encoder.rows(words, 0, STEP, STEPS)
    for one, other in zip(first[:5], again[:5], strict=True):
        assert one is not None
        assert other is not None
        assert (one.shape, one.dtype) == ((384,), np.float32)
        assert one.tobytes() == other.tobytes()


def test_without_words_no_step_has_a_row(encoder: TextEncoder) -> None:
    assert encoder.rows([], 0, STEP, STEPS) == [None] * STEPS
    assert encoder.word_vectors([]).shape == (0, 384)


def test_a_word_falls_into_the_step_of_its_middle(encoder: TextEncoder) -> None:
    long_word = [TimedWord("wonderful", 200 * MS, 1200 * MS)]  # its middle: 700 ms
    assert steps_with_rows(encoder, long_word, 0) == [2]
    on_the_edge = [TimedWord("yes", 400 * MS, 600 * MS)]  # a step begins with its first moment
    assert steps_with_rows(encoder, on_the_edge, 0) == [2]


def test_the_row_of_several_words_is_the_mean_of_theirs(encoder: TextEncoder) -> None:
    words = said("I love it", each_ms=80)
    row = encoder.rows(words, 0, STEP, STEPS)[0]
    assert row is not None
    assert np.allclose(row, encoder.word_vectors(["I", "love", "it"]).mean(axis=0), atol=1e-6)


@settings(max_examples=20)
@given(st.integers(-20_000, 20_000), st.integers(0, 4000))
def test_only_words_inside_the_window_have_a_step(
    encoder: TextEncoder, at_ms: int, length_ms: int
) -> None:
    word = TimedWord("hello", at_ms * MS, (at_ms + length_ms) * MS)
    step = word.middle_ns // STEP
    expected = [step] if 0 <= step < STEPS else []
    assert steps_with_rows(encoder, [word], 0) == expected


def last_row(encoder: TextEncoder, words: Sequence[TimedWord]) -> bytes:
    row = encoder.rows(words, 10 * SECOND, STEP, STEPS)[-1]
    assert row is not None
    return row.tobytes()


def test_the_context_reaches_12_s_back_from_the_windows_end(encoder: TextEncoder) -> None:
    now = said("not happy", from_ms=13_500)
    inside, outside = said("really", from_ms=2000), said("really", from_ms=1800)
    assert last_row(encoder, inside + now) != last_row(encoder, now)
    assert last_row(encoder, outside + now) == last_row(encoder, now)


def test_the_context_is_at_most_the_last_32_words(encoder: TextEncoder) -> None:
    many = said("word " * 40, from_ms=9000, each_ms=120)
    last = said("end", from_ms=13_750)
    assert last_row(encoder, many + last) == last_row(encoder, many[-31:] + last)
    assert last_row(encoder, many + last) != last_row(encoder, many[-30:] + last)


def test_words_after_the_windows_end_do_not_count(encoder: TextEncoder) -> None:
    words = said("I am fine", from_ms=13_250)
    assert last_row(encoder, words + said("later", from_ms=14_001)) == last_row(encoder, words)


@pytest.mark.parametrize(
    "word", ["", " ", "🙂", "\u200b", "ﷺ", "e\u0301", "\ud7ff", "\x00", "a" * 3000]
)
def test_odd_words_give_finite_vectors_and_do_not_shift_the_others(
    encoder: TextEncoder, word: str
) -> None:
    vectors = encoder.word_vectors(["happy", word])
    assert vectors.shape == (2, 384)
    assert np.isfinite(vectors).all()
    assert vectors[0].any()


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match="no/such/folder"):
        TextEncoder(TextSpec(model="./no/such/folder"))


def test_when_the_context_is_too_long_the_oldest_words_lose_their_rows(
    encoder: TextEncoder,
) -> None:
    long = [TimedWord("ha" * 40, n * 125_000_000, (n + 1) * 125_000_000) for n in range(32)]
    rows = encoder.rows(long, 0, 250_000_000, 16)
    assert rows[0] is None
    assert rows[-1] is not None
    assert all(row is None or row.any() for row in rows)
