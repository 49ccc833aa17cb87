"""Revising words: whatever the passes hear, the changes tell one consistent story."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from normtr.text import TimedWord
from stream.pipeline.events import Word, WordChange
from stream.pipeline.word_revision import Guess, Hypothesis

SECOND = 1_000_000_000


def guesses(text: str, begin_s: float = 0.0, probability: float = 0.9) -> list[Guess]:
    """One guess a word, each half a second long, from `begin_s` on."""
    begin_ns = int(begin_s * SECOND)
    half = SECOND // 2
    return [
        Guess(TimedWord(word, begin_ns + i * half, begin_ns + (i + 1) * half), probability)
        for i, word in enumerate(text.split())
    ]


def story(changes: Sequence[WordChange]) -> list[str]:
    return [f"{c.change} {c.word.id} {c.word.word.text}" for c in changes]


def replay(known: dict[int, Word], changes: Sequence[WordChange]) -> None:
    """Apply the changes as a subscriber would, checking that each of them is allowed."""
    for change in changes:
        word = change.word
        assert word.committed == (change.change == "commit")
        if change.change == "add":
            assert word.id not in known
        else:
            assert not known[word.id].committed
        if change.change == "revoke":
            del known[word.id]
        else:
            known[word.id] = word


def test_a_first_pass_adds_provisional_words() -> None:
    told = Hypothesis()
    assert story(told.revise(guesses("I am"), 9 * SECOND)) == ["add 0 I", "add 1 am"]
    assert not told.committed


def test_two_passes_that_agree_commit_but_not_what_is_unsettled() -> None:
    told = Hypothesis()
    told.revise(guesses("I am hap"), 0)
    assert story(told.revise(guesses("I am happy now"), SECOND // 2)) == [
        "update 2 happy",
        "add 3 now",
        "commit 0 I",
    ]


def test_case_and_punctuation_do_not_count_as_disagreement() -> None:
    told = Hypothesis()
    told.revise(guesses("well."), 0)
    assert story(told.revise(guesses("Well,"), SECOND)) == ["update 0 Well,", "commit 0 Well,"]


def test_small_shifts_are_no_change() -> None:
    told = Hypothesis()
    told.revise(guesses("I am"), 0)
    before = told.words
    assert told.revise(guesses("I am", begin_s=0.07, probability=0.95), 0) == ()
    assert told.words == before
    assert story(told.revise(guesses("I am", begin_s=0.2), 0)) == ["update 0 I", "update 1 am"]


def test_a_vanished_word_is_revoked_and_the_others_keep_their_ids() -> None:
    told = Hypothesis()
    told.revise(guesses("this is not good"), 0)
    changes = told.revise(guesses("this is good"), 0)
    assert story(changes)[0] == "revoke 2 not"
    assert [word.id for word in told.words] == [0, 1, 3]


def test_later_words_never_overlap_committed_ones() -> None:
    told = Hypothesis()
    told.revise(guesses("one"), 0)
    told.commit_all()
    told.forget(9 * SECOND)
    told.revise(guesses("two", begin_s=0.2), 0)
    assert [word.word for word in told.words] == [TimedWord("two", SECOND // 2, 7 * SECOND // 10)]


def test_commit_before_takes_what_begins_before() -> None:
    told = Hypothesis()
    told.revise(guesses("a b c"), 0)
    assert story(told.commit_before(SECOND)) == ["commit 0 a", "commit 1 b"]


def test_a_loop_is_cut_after_four_rounds_and_what_follows_is_taken() -> None:
    told = Hypothesis()
    told.revise(guesses("oh no no no no no no no stop it"), 0)
    assert [w.word.text for w in told.words] == ["oh", *["no"] * 4, "stop", "it"]


def test_a_loop_of_a_phrase_is_cut_whatever_its_case_and_punctuation() -> None:
    told = Hypothesis()
    told.revise(guesses("Thank you. thank you, Thank you thank you thank you. Thank you. Thank"), 0)
    assert len(told.words) == 8


def test_a_loop_that_goes_on_from_pass_to_pass_stays_cut() -> None:
    """Four words of it as long as they are remembered, and four again."""
    told = Hypothesis()
    changes: list[WordChange] = []
    for begin_s in range(0, 60, 2):
        changes += told.revise(guesses("la la la la", begin_s=begin_s), 0)
        told.commit_all()
        told.forget((begin_s - 30) * SECOND)
    assert len([change for change in changes if change.change == "add"]) == 8


def test_the_same_answer_after_pauses_is_no_loop() -> None:
    told = Hypothesis()
    for begin_s in range(0, 20, 3):
        told.revise(guesses("yes", begin_s=begin_s), 0)
        told.commit_all()
    assert len(told.words) == 7


words = st.lists(
    st.builds(
        lambda text, begin, length, p: Guess(TimedWord(text, begin, begin + length), p),
        st.sampled_from(["a", "A.", "b", "c", "d,"]),
        st.integers(0, 3 * SECOND),
        st.integers(0, SECOND),
        st.floats(0, 1),
    ),
    max_size=6,
)
steps = st.one_of(
    st.tuples(st.just("revise"), words, st.integers(0, 4 * SECOND)),
    st.tuples(st.just("before"), st.just([]), st.integers(0, 4 * SECOND)),
    st.tuples(st.just("all"), st.just([]), st.just(0)),
    st.tuples(st.just("forget"), st.just([]), st.integers(0, 4 * SECOND)),
)


@given(st.lists(steps, max_size=12))
def test_replaying_the_changes_rebuilds_the_words(
    sequence: list[tuple[str, list[Guess], int]],
) -> None:
    told = Hypothesis()
    known: dict[int, Word] = {}
    forgotten: set[int] = set()
    last_id = -1
    for step, heard, time_ns in sequence:
        before = {word.id for word in told.committed}
        changes: tuple[WordChange, ...] = ()
        if step == "revise":
            changes = told.revise(heard, time_ns)
        elif step == "before":
            changes = told.commit_before(time_ns)
        elif step == "all":
            changes = told.commit_all()
        else:
            told.forget(time_ns)
            forgotten |= before - {word.id for word in told.committed}
        added = [change.word.id for change in changes if change.change == "add"]
        assert added == list(range(last_id + 1, last_id + 1 + len(added)))
        last_id += len(added)
        replay(known, changes)
        assert {w.id: w for w in told.words} == {
            i: w for i, w in known.items() if i not in forgotten
        }
        for first, second in zip(told.words, told.words[1:], strict=False):
            assert first.word.begin_ns <= first.word.end_ns <= second.word.begin_ns
            assert first.committed or not second.committed
