"""Streaming speech-to-text: passes over the last seconds of sound give revisable words.

While somebody speaks there is a pass every half second, and one at once when the speech pauses;
without new speech there is none. A pass starts some seconds back. The words that are committed
there are the forced beginning of its text, so that it only has to find what comes after them, in
their context. Words of speech that the model does not know are withheld.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from normtr import speech
from normtr.speech import LEAD_S, RATE, TAIL_S, Whisper
from normtr.text import TimedWord
from normtr.voice_activity import CHUNK, VoiceActivity
from stream.pipeline.comprehension import Comprehension
from stream.pipeline.events import TranscriptEvent, Word, WordChange
from stream.pipeline.handoff import Sound, SoundRing
from stream.pipeline.load_shedding import DutyCycles
from stream.pipeline.pipe_config import TranscriberConfig
from stream.pipeline.stages import Stage
from stream.pipeline.word_revision import Guess, Hypothesis

MEMORY_NS = 30_000_000_000
UNSETTLED_S = 0.45
# Sometimes Whisper takes the words that it is given for all that was said, again and again.
DEAF_S = 1.0
TAIL = int(TAIL_S * RATE)


@dataclass(frozen=True)
class Passage:
    """The sound of one pass; nothing comes after it if it is `final`.

    Speech in it, if any, ends by sample `speech_end`, and `quiet` says that the pause since then
    ends an utterance. `skipped` is the number of samples before it that no pass has had.
    """

    sound: Sound
    speech_end: int
    quiet: bool
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
        self._comprehension = Comprehension(known)
        self._activity = VoiceActivity(begin, config.vad_threshold)
        self._begin = begin  # the next passage's first sample
        self._taken = begin  # the end of the last passage
        self._came = 0  # samples that came during the last pass
        self._working = False  # whether a pass was begun since the last look
        self._heard = begin + TAIL  # Whisper has listened up to here, if there was speech
        self._deaf = False  # whether its last pass gave no words for a second of speech

    def take(self, now_ns: int, final: bool = False) -> Passage | None:
        """Return the next passage; None while it is not worth a pass.

        `final` says that no more sound will come: then the rest is returned, and after that None.
        """
        self._follow_activity()
        if self._working:  # told here, because sound goes on coming while a pass computes
            self._working = False
            self._came = self._ring.end - self._taken
        end, speech_end = self._ring.end, self._activity.speech_end
        new, unsure = end - self._taken, bool(self._hypothesis.provisional)
        pause = 0 if self._activity.speaking else end - speech_end
        quiet = pause > 0 and pause >= self._config.pause_ms * RATE // 1000
        rest = final and (new > 0 or unsure)
        early = (quiet and unsure) or (pause >= TAIL and self._is_urgent(new))
        if not (rest or early or new >= self._enough()):
            return None
        begin = max(self._begin, end - self._longest)
        skipped = max(begin - self._taken, 0)
        self._taken, self._working = end, True
        return Passage(self._ring.read(begin, end), speech_end, quiet, final, skipped)

    def _follow_activity(self) -> None:
        """Look for speech in the sound that came since the last look."""
        end, activity = self._ring.end, self._activity
        if end - activity.end > self._longest:  # a passage does not reach back so far
            begin = end - self._longest
            self._activity = activity = VoiceActivity(begin, self._config.vad_threshold)
        if count := (end - activity.end) // CHUNK:
            activity.hear(self._ring.read(activity.end, activity.end + count * CHUNK).samples)

    def _is_urgent(self, new: int) -> bool:
        """Return whether the rest of what was said is worth a pass before its time."""
        unheard = self._activity.speech_end + TAIL > self._heard
        return unheard and new >= self._came and self._duty_cycles.newest.transcribe == 1

    def _enough(self) -> int:
        """Return how many new samples are worth a pass, given the duty cycle."""
        interval = max(self._config.interval_ms * RATE // 1000, self._came)
        return min(self._duty_cycles.newest.transcribe * interval, self._longest)

    def run(self, work: Passage) -> Sequence[TranscriptEvent]:
        """Listen to the passage. `ready_ns` is 0 in the result; the driver fills it in."""
        sound, told = work.sound, self._hypothesis
        # Provisional words before the passage cannot be revised any more.
        changes = [*told.commit_before(self._ns(sound.begin))]
        end = min(sound.end, work.speech_end + TAIL)
        if work.speech_end > sound.begin and end > self._heard:
            changes += self._listen(sound, end)
        self._heard = end
        if work.quiet or work.final:
            changes += told.commit_all()
        if work.quiet or work.speech_end <= sound.begin:
            self._begin = max(work.speech_end, sound.end - int(LEAD_S * RATE))
        else:
            self._begin = self._next_begin(sound)
        horizon_ns = self._ns(sound.end)
        told.forget(horizon_ns - MEMORY_NS)
        begin = sound.begin
        skipped = (self._ns(begin - work.skipped), self._ns(begin)) if work.skipped else None
        passed, foreign = self._comprehension.pass_on(changes, told.words)
        words = self._comprehension.words
        return [TranscriptEvent(words, tuple(passed), horizon_ns, 0, skipped, foreign)]

    def _listen(self, sound: Sound, end: int) -> tuple[WordChange, ...]:
        """Run Whisper over the passage up to sample `end`; return the changed words."""
        told = self._hypothesis
        begin = sound.begin
        until_ns = self._ns(sound.end) - int(UNSETTLED_S * 1e9)
        begin_ns = self._ns(begin)
        known = [word.word for word in told.committed if word.word.begin_ns >= begin_ns]
        fresh_s = (self._ns(end) - (known[-1].end_ns if known else begin_ns)) / 1e9
        heard = self._whisper.words(
            sound.samples[: end - begin],
            " ".join(word.text for word in known),
            speech.most_words(fresh_s),
        )
        self._deaf = not heard and fresh_s >= DEAF_S
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

        A passage beyond a third of the longest is cut where a committed word began; a sixth of the
        longest stays as context. If Whisper heard nothing after the committed words, the
        next pass begins there.
        """
        committed = [word.word for word in self._hypothesis.committed]
        if not committed:
            return sound.begin
        end_ns, bound_s = committed[-1].end_ns, self._config.max_passage_s
        if len(sound.samples) < bound_s / 3 * RATE and not self._deaf:
            return sound.begin
        context_ns = end_ns - (0 if self._deaf else int(bound_s / 6 * 1e9))
        cut_ns = next((w.begin_ns for w in committed if w.begin_ns >= context_ns), end_ns)
        return max(sound.begin, (cut_ns - self._origin_ns) * RATE // 1_000_000_000)

    def _ns(self, sample: int) -> int:
        return self._origin_ns + sample * 1_000_000_000 // RATE
