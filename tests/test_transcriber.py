"""The streaming transcriber on real sound, driven in virtual time as a free worker would be."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.audio import decode_audio

from normtr import speech
from normtr.errors import UserError
from normtr.speech import RATE, Whisper
from stream.pipeline.events import TranscriptEvent, Word
from stream.pipeline.handoff import Samples, SoundRing
from stream.pipeline.load_shedding import DutyCycles
from stream.pipeline.models import load_whisper
from stream.pipeline.pipe_config import TranscriberConfig
from stream.pipeline.transcriber import Transcriber
from tests.support import components

pytestmark = pytest.mark.slow

CLIPS = Path(__file__).parents[2] / "shared" / "data" / "replay_clips"
COST_NS = 550_000_000
PIECE_NS = 100_000_000
ORIGIN_NS = 7_000_000_000
TEXT = (
    "The weather is beautiful this morning and the children are playing in the garden. "
    "My sister wants to buy a new house near the river, but it is very expensive. "
    "Yesterday we walked through the old town and looked at the market. "
)


@dataclass(frozen=True)
class Session:
    """What one virtual session gave: the results in order, and the longest passage in seconds."""

    heard: list[TranscriptEvent]
    longest_s: float

    @property
    def words(self) -> list[Word]:
        """The committed words, in time order."""
        final = [c.word for h in self.heard for c in h.changes if c.change == "commit"]
        return sorted(final, key=lambda word: word.word.begin_ns)

    @property
    def text(self) -> str:
        return " ".join(word.word.text for word in self.words)

    def delays_s(self, change: str) -> list[float]:
        """From the end of each committed word to the first such change of it."""
        ends = {word.id: word.word.end_ns for word in self.words}
        ready = {c.word.id: h.ready_ns for h in self.heard for c in h.changes if c.change == change}
        return [(ready[i] - end) / 1e9 for i, end in ends.items()]


@cache
def whisper() -> Whisper:
    return load_whisper(TranscriberConfig())


def worker(
    ring: SoundRing,
    origin_ns: int = 0,
    config: TranscriberConfig | None = None,
    duty_cycles: DutyCycles | None = None,
) -> Transcriber:
    config, duty_cycles = config or TranscriberConfig(), duty_cycles or DutyCycles()
    return Transcriber(ring, origin_ns, config, whisper(), duty_cycles)


def listen(
    sound: Samples, cost_ns: int = COST_NS, config: TranscriberConfig | None = None
) -> Session:
    """Feed the sound in 100 ms pieces; the worker is busy for `cost_ns` after each take."""
    ring = SoundRing(RATE, 20 * RATE)
    transcriber = worker(ring, ORIGIN_NS, config)
    heard = []
    longest = 0
    now_ns = free_ns = ORIGIN_NS
    piece = PIECE_NS * RATE // 1_000_000_000
    for begin in range(0, len(sound), piece):
        ring.append(sound[begin : begin + piece])
        now_ns += PIECE_NS
        if now_ns >= free_ns and (work := transcriber.take(now_ns)):
            free_ns = now_ns + cost_ns
            longest = max(longest, len(work.sound.samples))
            heard.append(replace(transcriber.run(work)[0], ready_ns=free_ns))
    if work := transcriber.take(free_ns, final=True):
        heard.append(replace(transcriber.run(work)[0], ready_ns=max(now_ns, free_ns) + cost_ns))
    assert transcriber.take(free_ns, final=True) is None
    return Session(heard, longest / RATE)


@cache
def spoken(text: str, voice: str = "en-us") -> Samples:
    """The text as espeak-ng says it, half a second of silence before it."""
    components.require("espeak-ng")
    wave = subprocess.run(
        ["espeak-ng", "-v", voice, "-s", "150", "--stdout", text], check=True, capture_output=True
    ).stdout
    # The header of a piped wave does not know its length: 44 bytes, then 16 bit at 22,050 Hz.
    pcm = np.frombuffer(wave[44:], np.int16).astype(np.float32) / 32768
    times = np.arange(0, len(pcm) - 1, 22_050 / RATE)
    speech = np.interp(times, np.arange(len(pcm)), pcm)
    return np.concatenate([np.zeros(RATE // 2), speech]).astype(np.float32)


@cache
def session() -> Session:
    return listen(spoken(TEXT))


def errors(said: str, heard: str) -> float:
    """Word error rate: edit distance over the number of words said."""
    one, two = (re.sub(r"[^a-z0-9 ]", "", text.lower()).split() for text in (said, heard))
    row = list(range(len(two) + 1))
    for i, word in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(two, 1):
            cheapest = min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
            diagonal, row[j] = row[j], cheapest
    return row[-1] / len(one)


def replayed(heard: Sequence[TranscriptEvent]) -> None:
    """Follow the changes as a subscriber would and compare with the words after each pass."""
    known: dict[int, Word] = {}
    for result in heard:
        for change in result.changes:
            word = change.word
            assert (word.id in known) == (change.change != "add")
            assert change.change == "add" or not known[word.id].committed
            if change.change == "revoke":
                del known[word.id]
            else:
                known[word.id] = word
        oldest_ns = result.horizon_ns - 30_000_000_000
        recent = [w for w in known.values() if not w.committed or w.word.end_ns >= oldest_ns]
        assert list(result.words) == sorted(
            recent, key=lambda w: (not w.committed, w.word.begin_ns, w.id)
        )


def test_what_was_said_is_committed() -> None:
    assert errors(TEXT, session().text) <= 0.2, session().text


def test_words_come_soon_and_are_soon_final() -> None:
    first, final = session().delays_s("add"), session().delays_s("commit")
    assert np.percentile(first, 50) < 1.0
    assert np.percentile(first, 95) < 1.5
    assert np.percentile(final, 50) < 1.5
    assert np.percentile(final, 95) < 2.2


def test_words_lie_where_they_were_said() -> None:
    words = session().words
    end_ns = ORIGIN_NS + len(spoken(TEXT)) * 1_000_000_000 // RATE
    assert words[0].word.begin_ns >= ORIGIN_NS
    assert words[-1].word.end_ns <= end_ns
    assert session().heard[-1].horizon_ns == end_ns
    [garden] = [word.word for word in words if word.word.text.lower().startswith("garden")]
    # The voice breathes after "garden": the first 0.25 s without sound after second 3.
    loud = np.flatnonzero(np.abs(spoken(TEXT)) > 0.003)
    loud = loud[loud > 3 * RATE]
    breath = loud[np.argmax(np.diff(loud) > RATE // 4)]
    assert abs(garden.end_ns - ORIGIN_NS - breath * 1_000_000_000 // RATE) < 300_000_000


def test_the_changes_tell_the_words() -> None:
    replayed(session().heard)


def test_the_same_sound_gives_the_same_results() -> None:
    sound = spoken(TEXT)[: 6 * RATE]
    assert listen(sound).heard == listen(sound).heard


def test_forty_seconds_of_speech_keep_the_passage_bounded() -> None:
    sound = np.tile(spoken(TEXT)[RATE // 2 :], 4)[: 40 * RATE]
    result = listen(sound)
    assert result.longest_s <= 12
    assert max(result.delays_s("commit")) < 6
    assert len(result.words) > 60
    replayed(result.heard)


def test_a_stalled_worker_skips_forward_and_commits_what_it_knew() -> None:
    ring = SoundRing(RATE, 20 * RATE)
    transcriber = worker(ring, config=TranscriberConfig(max_passage_s=3))
    sound = spoken(TEXT)
    ring.append(sound[: 2 * RATE])
    work = transcriber.take(0)
    assert work is not None
    before = transcriber.run(work)[0].words
    assert before
    ring.append(sound[2 * RATE : 8 * RATE])
    work = transcriber.take(0)
    assert work is not None
    assert (work.sound.begin, work.sound.end) == (5 * RATE, 8 * RATE)
    after = transcriber.run(work)[0]
    assert after.skipped == (2_000_000_000, 5_000_000_000)
    assert [w.id for w in after.words if w.committed][: len(before)] == [w.id for w in before]


def test_a_slow_worker_never_gets_further_behind() -> None:
    """3 s a pass over a minute of speech: each ends with the newest sound."""
    sound = np.tile(spoken(TEXT)[RATE // 2 :], 5)[: 60 * RATE]
    result = listen(sound, cost_ns=3_000_000_000)
    lags_s = [(h.ready_ns - h.horizon_ns) / 1e9 for h in result.heard]
    assert len(lags_s) > 15
    assert set(lags_s[:-1]) == {3.0}
    assert lags_s[-1] <= 6.0  # the rest waits for the pass before it
    assert not any(h.skipped for h in result.heard)
    assert errors(TEXT * 4, result.text) < 0.4, result.text
    replayed(result.heard)


def test_a_worker_slower_than_its_passage_skips_sound_and_says_how_much() -> None:
    sound = np.tile(spoken(TEXT)[RATE // 2 :], 6)[: 60 * RATE]
    result = listen(sound, cost_ns=16_000_000_000)
    skipped = [h.skipped for h in result.heard if h.skipped]
    assert [round((end - begin) / 1e9) for begin, end in skipped] == [4, 4, 4]
    assert {h.ready_ns - h.horizon_ns for h in result.heard[:-1]} == {16_000_000_000}
    said = [word.word for word in result.words]
    assert all(
        w.end_ns <= begin + 500_000_000 or w.begin_ns >= end for w in said for begin, end in skipped
    )
    replayed(result.heard)


def test_a_lower_pace_makes_passes_rarer_and_skips_nothing() -> None:
    ring, duty_cycles = SoundRing(RATE, 40 * RATE), DutyCycles()
    transcriber = worker(ring, duty_cycles=duty_cycles)
    taken = []
    for level, seconds in ((0, 3), (2, 6), (3, 12)):
        duty_cycles.change(0, level)
        begin = ring.end
        for _ in range(seconds * 10):
            ring.append(np.zeros(RATE // 10, np.float32))
            if (work := transcriber.take(0)) is not None:
                transcriber.run(work)
                assert not work.skipped
                taken.append(level)
        assert ring.end - begin == seconds * RATE
    assert [taken.count(level) for level in (0, 2, 3)] == [6, 6, 6]


@pytest.mark.parametrize("text", ["no", "I am happy"])
def test_a_looped_sound_gives_no_loop_of_words(text: str) -> None:
    """Ten seconds of the same sound without a pause: Whisper writes on and on."""
    loud = np.flatnonzero(np.abs(spoken(text)) > 0.01)
    once = spoken(text)[loud[0] : loud[-1] + 800]
    result = listen(np.tile(once, 10 * RATE // len(once) + 1)[: 10 * RATE])
    said = [re.sub(r"[^a-z]", "", word.word.text.lower()) for word in result.words]
    assert said == text.lower().split() * 4


def test_a_pause_brings_the_words_before_their_time() -> None:
    sound = np.concatenate([spoken("I am very happy today."), np.zeros(3 * RATE, "f4")])
    result = listen(sound, cost_ns=0, config=TranscriberConfig(interval_ms=10_000))
    assert errors("I am very happy today", result.text) <= 0.2, result.text
    assert result.delays_s("add")[-1] < 0.5
    assert result.delays_s("commit")[-1] < 1.0


def test_whisper_hears_nothing_but_new_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seconds of silence, a sentence of 1.7 s, three seconds of silence."""
    heard_s = []
    words = Whisper.words

    def counted(self: Whisper, samples: Samples, known: str, most: int) -> object:
        heard_s.append(len(samples) / RATE)
        return words(self, samples, known, most)

    monkeypatch.setattr(Whisper, "words", counted)
    silence = np.zeros(3 * RATE, np.float32)
    sound = np.concatenate([silence, spoken("I am very happy today."), silence])
    listen(sound, cost_ns=0, config=TranscriberConfig(pause_ms=2500))
    assert 3 <= len(heard_s) <= 5
    assert max(heard_s) < 3.0


@pytest.mark.parametrize("name", ["bbaf2n", "lrwp9a"])
def test_a_pass_writes_nothing_beyond_the_sound(name: str) -> None:
    """With so little silence after the sound, Whisper goes on and says it again and again."""
    clip = CLIPS / f"LipNet__evaluation_samples_GRID_{name}.mpg"
    if not clip.is_file():
        pytest.skip(f"NOT TESTED: no clip {clip}")
    for seconds in (2.25, 2.5, 2.75):
        heard = whisper().words(decode_audio(str(clip))[: int(seconds * RATE)], "", 40)
        assert heard is not None
        assert 3 <= len(heard) <= 6, heard


@pytest.mark.parametrize("lead_ms", [150, 360])
def test_whisper_is_not_deaf_to_what_follows_its_given_words(lead_ms: int) -> None:
    """GRID commands without pauses: given "... now", it has nothing to add for ten seconds."""
    clips = sorted(CLIPS.glob("LipNet*.mpg"))
    if not clips:
        pytest.skip(f"NOT TESTED: no clips in {CLIPS}")
    parts = [np.zeros(lead_ms * RATE // 1000, np.float32)]
    for clip in clips:
        sound = decode_audio(str(clip))
        said = speech.stretches(sound)
        parts.append(sound[said[0][0] - RATE // 10 : said[-1][1] + RATE // 10])
    result = listen(np.concatenate(parts), cost_ns=200_000_000)
    assert max(result.delays_s("add")) < 4.0


def test_a_pause_commits_everything() -> None:
    result = listen(np.concatenate([spoken("I am very happy today."), np.zeros(3 * RATE, "f4")]))
    assert errors("I am very happy today", result.text) <= 0.2, result.text
    assert all(word.committed for word in result.heard[-2].words)  # before the end is known


# About the weather and the way to the market.
FOREIGN = {
    "de": "Heute morgen ist das Wetter schön, und die Kinder spielen im Garten. "
    "Gestern sind wir durch die alte Stadt gegangen und haben den Markt angeschaut. "
    "Meine Schwester möchte ein neues Haus am Fluss kaufen, aber es ist sehr teuer.",
    "id": "Cuaca pagi ini sangat indah dan anak-anak bermain di kebun. "
    "Kemarin kami berjalan melalui kota tua dan melihat pasar. "
    "Saudara perempuan saya ingin membeli rumah baru di dekat sungai, tetapi sangat mahal.",
}


@pytest.mark.parametrize("voice", FOREIGN)
def test_another_language_gives_no_words_and_is_told_once(voice: str) -> None:
    result = listen(np.tile(spoken(FOREIGN[voice], voice), 2))
    assert len(result.words) <= 5, result.text
    assert sum(h.foreign for h in result.heard) == 1
    replayed(result.heard)


def test_english_is_understood_again_after_another_language() -> None:
    result = listen(np.concatenate([spoken(FOREIGN["id"], "id"), spoken(TEXT), spoken(TEXT)]))
    last_ns = ORIGIN_NS + (len(spoken(FOREIGN["id"], "id")) + len(spoken(TEXT))) * 62_500
    again = " ".join(w.word.text for w in result.words if w.word.begin_ns >= last_ns)
    assert errors(TEXT, again) <= 0.2, again
    assert not any(h.foreign for h in session().heard)
    replayed(result.heard)


SECONDS = 60
noise = np.random.default_rng(0).normal(size=SECONDS * RATE) * 10 ** (-30 / 20)


def music() -> Samples:
    """Chords, a melody with vibrato and overtones, a drum: two beats a second."""
    generator = np.random.default_rng(0)
    times = np.arange(RATE // 2) / RATE
    drum = generator.normal(size=len(times)) * np.exp(-times * 100)
    chords = ((220, 262, 330), (175, 220, 262), (131, 165, 196), (196, 247, 294))
    beats = []
    for beat in range(2 * SECONDS):
        phase = 2 * np.pi * generator.choice([262, 294, 330, 392, 440]) * times
        voice = phase + 3 * np.sin(2 * np.pi * 5.5 * times)
        melody = sum(np.sin(n * voice) / n for n in range(1, 8)) * np.exp(-1.5 * times)
        chord = sum(np.sin(2 * np.pi * hz * times) for hz in chords[beat // 4 % 4])
        beats.append(0.05 * melody + 0.03 * chord * np.exp(-3 * times) + 0.15 * drum)
    return np.concatenate(beats).astype(np.float32)


@pytest.mark.parametrize(
    "sound", [np.zeros(SECONDS * RATE), noise, music()], ids=["silence", "noise", "music"]
)
def test_no_words_without_speech(sound: Samples) -> None:
    result = listen(sound.astype(np.float32))
    assert not any(heard.changes or heard.words for heard in result.heard)
    assert result.heard[-1].horizon_ns == ORIGIN_NS + SECONDS * 1_000_000_000


def test_real_people_are_understood() -> None:
    """GRID speakers: the colour and the adverb of the command are what tiny.en gets right."""
    said = {"brbk7n": "red now", "lbax4n": "blue now", "lbbc2a": "blue again"}
    clips = {name: CLIPS / f"LipNet__evaluation_samples_GRID_{name}.mpg" for name in said}
    if not all(clip.is_file() for clip in clips.values()):
        pytest.skip(f"NOT TESTED: no clips in {CLIPS}")
    heard = {name: listen(decode_audio(str(clip))).text.lower() for name, clip in clips.items()}
    found = [word in heard[name] for name, words in said.items() for word in words.split()]
    assert sum(found) >= 5, heard


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (TranscriberConfig(model="/no/such/model"), "/no/such/model"),
        (TranscriberConfig(model=str(Path(__file__).parent)), "has no model.bin"),
        (TranscriberConfig(model="tynee"), "tynee"),
        (TranscriberConfig(language="de"), "--text off"),
    ],
)
def test_an_unusable_model_is_one_sentence(config: TranscriberConfig, said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)) as error:
        load_whisper(config)
    assert "\n" not in str(error.value)
