"""Streaming speech-to-text: every half second one pass over the last sound gives revisable words.

The pass starts some seconds back and is given the words committed there as forced beginning of
its text, so that it only has to find what comes after them, in their context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from normtr import models, speech
from normtr.errors import UserError
from normtr.speech import LEAD_S, LONGEST_S, RATE, TAIL_S, Whisper
from normtr.text import TimedWord
from stream.events import Heard, Word, WordChange
from stream.handoff import Sound, SoundRing
from stream.hypothesis import Guess, Hypothesis

MEMORY_NS = 30_000_000_000
UNSETTLED_S = 0.3


@dataclass(frozen=True)
class TranscriberConfig:
    """`model`: an embedded package, a CTranslate2 folder, or (with a network) a hub name.

    A pass is made after `interval_ms` of new sound, over at most `max_passage_s` (1 to 15).
    What Silero gives at least `vad_threshold` (0..1) is speech; `pause_ms` without it end an
    utterance.
    """

    model: str = models.SPEECH
    language: str = "en"
    interval_ms: int = 500
    max_passage_s: float = speech.PASSAGE_S
    pause_ms: int = speech.PAUSE_MS
    vad_threshold: float = speech.THRESHOLD


@dataclass(frozen=True)
class Passage:
    """The sound of one pass; `final`: nothing comes after it."""

    sound: Sound
    final: bool


class Transcriber:
    """Worker: sound from the ring in, revisable words out. Sample n lies n/16000 s after origin."""

    name = "transcribe"

    def __init__(
        self,
        ring: SoundRing,
        origin_ns: int,
        config: TranscriberConfig,
        begin: int = 0,
        known: Sequence[Word] = (),
    ) -> None:
        """Load the model (about 0.5 s); `ring` holds 16 kHz sound and more than a passage of it.

        It listens from sample `begin` on; `known` are the words of the one that it replaces.
        Raises UserError when the model or the config is unusable.
        """
        if ring.rate != RATE:
            raise ValueError(f"the transcriber needs sound at {RATE} Hz, not {ring.rate}")
        if not 1 <= config.max_passage_s <= LONGEST_S:
            raise UserError(f"max_passage_s must be from 1 to 15, not {config.max_passage_s}.")
        self._ring = ring
        self._origin_ns = origin_ns
        self._config = config
        self._whisper = Whisper(config.model, config.language)
        self._hypothesis = Hypothesis(known)
        self._begin = begin  # the next passage's first sample
        self._taken = begin  # the end of the last passage
        self._listened = (0, 0)  # the samples of Whisper's last pass

    def take(self, now_ns: int, final: bool = False) -> Passage | None:
        """The next passage, None while there is too little new sound.

        `final`: no sound will come any more; gives the rest, then None.
        """
        end = self._ring.end
        new = end - self._taken
        unfinished = final and (new > 0 or bool(self._hypothesis.provisional))
        if new < self._config.interval_ms * RATE // 1000 and not unfinished:
            return None
        self._taken = end
        begin = max(self._begin, end - int(self._config.max_passage_s * RATE))
        return Passage(self._ring.read(begin, end), final)

    def run(self, work: Passage) -> Sequence[Heard]:
        """Listen to the passage; `ready_ns` is 0, the driver knows when it was ready."""
        sound, told = work.sound, self._hypothesis
        # Where the passage could not reach back far enough, what is known there is all there is.
        changes = [*told.commit_before(self._ns(sound.begin))]
        found = speech.stretches(sound.samples, self._config.vad_threshold)
        speech_end = sound.begin + found[-1][1] if found else sound.begin
        changes += self._listen(sound, speech_end) if found else told.revise((), 0)
        quiet = sound.end - speech_end >= self._config.pause_ms * RATE // 1000
        if quiet or work.final:
            changes += told.commit_all()
        if quiet or not found:
            self._begin = max(speech_end, sound.end - int(LEAD_S * RATE))
        else:
            self._begin = self._next_begin(sound)
        horizon_ns = self._ns(sound.end)
        told.forget(horizon_ns - MEMORY_NS)
        return [Heard(told.words, tuple(changes), horizon_ns, ready_ns=0)]

    def _listen(self, sound: Sound, speech_end: int) -> tuple[WordChange, ...]:
        """One Whisper pass over the passage up to the end of its speech."""
        told = self._hypothesis
        begin, end = sound.begin, min(sound.end, speech_end + int(TAIL_S * RATE))
        until_ns = self._ns(sound.end) - int(UNSETTLED_S * 1e9)
        if (begin, end) == self._listened:  # a second look at the same sound would agree
            same = [Guess(word.word, word.probability) for word in told.provisional]
            return told.revise(same, until_ns)
        self._listened = (begin, end)
        begin_ns = self._ns(begin)
        known = [word.word for word in told.committed if word.word.begin_ns >= begin_ns]
        fresh_s = (self._ns(end) - (known[-1].end_ns if known else begin_ns)) / 1e9
        heard = self._whisper.words(
            sound.samples[: end - begin],
            " ".join(word.text for word in known),
            speech.most_words(fresh_s),
        )
        if heard is None:  # not to be trusted: the words so far stand
            return ()
        guesses = [
            Guess(
                TimedWord(text, begin_ns + round(first * 1e9), begin_ns + round(last * 1e9)), sure
            )
            for text, first, last, sure in heard
        ]
        return told.revise(guesses, until_ns)

    def _next_begin(self, sound: Sound) -> int:
        """Past half the bound, cut where a committed word began; a quarter stays as context."""
        committed = [word.word for word in self._hypothesis.committed]
        bound_s = self._config.max_passage_s
        if len(sound.samples) < bound_s / 2 * RATE or not committed:
            return sound.begin
        context_ns = committed[-1].end_ns - int(bound_s / 4 * 1e9)
        begins = [word.begin_ns for word in committed if word.begin_ns >= context_ns]
        cut_ns = begins[0] if begins else committed[-1].end_ns
        return max(sound.begin, (cut_ns - self._origin_ns) * RATE // 1_000_000_000)

    def _ns(self, sample: int) -> int:
        return self._origin_ns + sample * 1_000_000_000 // RATE
