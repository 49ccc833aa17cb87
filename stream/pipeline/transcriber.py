"""Streaming speech-to-text: every half second a pass over the last sound gives revisable words.

A pass starts some seconds back. The words that are committed there are the forced beginning of its
text, so that it only has to find what comes after them, in their context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from normtr import speech
from normtr.speech import LEAD_S, RATE, TAIL_S, Whisper
from normtr.text import TimedWord
from stream.pipeline.events import TranscriptEvent, Word, WordChange
from stream.pipeline.handoff import Sound, SoundRing
from stream.pipeline.load_shedding import DutyCycles
from stream.pipeline.pipe_config import TranscriberConfig
from stream.pipeline.stages import Stage
from stream.pipeline.word_revision import Guess, Hypothesis

MEMORY_NS = 30_000_000_000
UNSETTLED_S = 0.3


@dataclass(frozen=True)
class Passage:
    """The sound of one pass; nothing comes after it if it is `final`.

    `skipped` is the number of samples before it that no pass has had.
    """

    sound: Sound
    final: bool
    skipped: int


class Transcriber:
    """The worker that turns sound from the ring into revisable words.

    Sample n lies n / 16000 s after the origin.
    """

    name = Stage.TRANSCRIBE

    def __init__(
        self,
        ring: SoundRing,
        origin_ns: int,
        config: TranscriberConfig,
        whisper: Whisper,
        duty_cycles: DutyCycles,
        begin: int = 0,
        known: Sequence[Word] = (),
    ) -> None:
        """`ring` holds sound at 16 kHz, and more of it than one passage.

        `whisper` is the model that `config` names. The worker listens from sample `begin` on.
        `known` are the words of the worker that it replaces.
        """
        if ring.rate != RATE:
            raise ValueError(f"the transcriber needs sound at {RATE} Hz, not {ring.rate}")
        self._ring = ring
        self._origin_ns = origin_ns
        self._config = config
        self._longest = int(config.max_passage_s * RATE)
        self._whisper = whisper
        self._duty_cycles = duty_cycles
        self._hypothesis = Hypothesis(known)
        self._begin = begin  # the next passage's first sample
        self._taken = begin  # the end of the last passage
        self._came = 0  # samples that came during the last pass
        self._listened = (0, 0)  # the samples of Whisper's last pass

    def take(self, now_ns: int, final: bool = False) -> Passage | None:
        """Return the next passage; None while there is too little new sound.

        `final` says that no more sound will come: then the rest is returned, and after that None.
        """
        end = self._ring.end
        new = end - self._taken
        unfinished = final and (new > 0 or bool(self._hypothesis.provisional))
        if new < self._enough() and not unfinished:
            return None
        begin = max(self._begin, end - self._longest)
        skipped = max(begin - self._taken, 0)
        self._taken = end
        return Passage(self._ring.read(begin, end), final, skipped)

    def _enough(self) -> int:
        """Return how many new samples are worth a pass, given the duty cycle."""
        interval = max(self._config.interval_ms * RATE // 1000, self._came)
        return min(self._duty_cycles.newest.transcribe * interval, self._longest)

    def run(self, work: Passage) -> Sequence[TranscriptEvent]:
        """Listen to the passage. `ready_ns` is 0 in the result; the driver fills it in."""
        sound, told = work.sound, self._hypothesis
        # Provisional words before the passage cannot be revised any more.
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
        begin = sound.begin
        skipped = (self._ns(begin - work.skipped), self._ns(begin)) if work.skipped else None
        self._came = self._ring.end - sound.end
        return [TranscriptEvent(told.words, tuple(changes), horizon_ns, 0, skipped)]

    def _listen(self, sound: Sound, speech_end: int) -> tuple[WordChange, ...]:
        """Run Whisper over the passage up to the end of its speech; return the changed words."""
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
        if heard is None:  # the pass is not to be trusted, so the words stay as they are
            return ()
        guesses = [
            Guess(
                TimedWord(text, begin_ns + round(first * 1e9), begin_ns + round(last * 1e9)), sure
            )
            for text, first, last, sure in heard
        ]
        return told.revise(guesses, until_ns)

    def _next_begin(self, sound: Sound) -> int:
        """Return the first sample of the next passage.

        A passage beyond half of the longest is cut where a committed word began; a quarter of the
        longest stays as context.
        """
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
