"""Streaming speech-to-text: every half second one pass over the last sound gives revisable words.

The pass starts some seconds back and is given the words committed there as forced beginning of
its text, so that it only has to find what comes after them, in their context.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import (
    get_compression_ratio,
    get_suppressed_tokens,
    merge_punctuations,
)
from faster_whisper.vad import VadOptions, get_speech_timestamps

from normtr import models
from normtr.errors import UserError
from normtr.text import TimedWord
from stream.events import Heard, WordChange
from stream.handoff import Samples, Sound, SoundRing
from stream.hypothesis import Guess, Hypothesis

RATE = 16_000
MEMORY_NS = 30_000_000_000
# Whisper's encoder takes any length; at half of the usual 30 s a pass takes less than half.
FRAMES = 1500
FRAMES_PER_S = 100
# A passage that starts in silence keeps this much before the speech, and one that ends in
# silence this much after it: first and last sounds of a word are faint.
LEAD_S = 0.5
TAIL_S = 0.2
UNSETTLED_S = 0.3
# Whisper's own thresholds for text that is no speech, or a loop.
NO_SPEECH = 0.6
LOG_PROBABILITY = -1.0
COMPRESSION = 2.4
WORDS_PER_S = 6.0
TOKENS_PER_WORD = 2
OPENING, CLOSING = "\"'“([{-", "\"'.,!?:”)]}"


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
    max_passage_s: float = 12.0
    pause_ms: int = 600
    vad_threshold: float = 0.5


@dataclass(frozen=True)
class Passage:
    """The sound of one pass; `final`: nothing comes after it."""

    sound: Sound
    final: bool


class Transcriber:
    """Worker: sound from the ring in, revisable words out. Sample n lies n/16000 s after origin."""

    name = "transcribe"

    def __init__(self, ring: SoundRing, origin_ns: int, config: TranscriberConfig) -> None:
        """Load the model (about 0.5 s); `ring` holds 16 kHz sound and more than a passage of it.

        Raises UserError when the model or the config is unusable.
        """
        if ring.rate != RATE:
            raise ValueError(f"the transcriber needs sound at {RATE} Hz, not {ring.rate}")
        if not 1 <= config.max_passage_s <= FRAMES / FRAMES_PER_S:
            raise UserError(f"max_passage_s must be from 1 to 15, not {config.max_passage_s}.")
        self._ring = ring
        self._origin_ns = origin_ns
        self._config = config
        self._whisper = _Whisper(config.model, config.language)
        self._vad = VadOptions(
            threshold=config.vad_threshold,
            min_speech_duration_ms=100,
            min_silence_duration_ms=100,
            speech_pad_ms=0,
        )
        self._hypothesis = Hypothesis()
        self._begin = 0  # the next passage's first sample
        self._taken = 0  # the end of the last passage
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
        found = get_speech_timestamps(sound.samples, self._vad)
        speech_end = sound.begin + int(found[-1]["end"]) if found else sound.begin
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
            math.ceil(max(fresh_s, 0.0) * WORDS_PER_S) + 1,
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


class _Whisper:
    """Single passes of Whisper at 15 s: temperature 0, one beam, one thread."""

    def __init__(self, model: str, language: str) -> None:
        try:
            self._model = WhisperModel(
                models.folder(model), device="cpu", compute_type="int8", cpu_threads=1
            )
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"the speech model {model!r} cannot be loaded: {reason}") from None
        many = self._model.model.is_multilingual
        self._tokenizer = Tokenizer(
            self._model.hf_tokenizer, many, task="transcribe", language=language
        )
        self._suppressed = get_suppressed_tokens(self._tokenizer, [-1])

    def words(
        self, samples: Samples, known: str, most: int
    ) -> Sequence[tuple[str, float, float, float]] | None:
        """At most `most` words after the text `known`: (text, begin, end in s, probability).

        `samples` float32 [n], n <= 15 s. None when the text is no speech or a loop.
        """
        tokenizer, whisper = self._tokenizer, self._model
        mel = whisper.feature_extractor(samples)[:, :FRAMES]
        frames = mel.shape[1]
        encoded = whisper.encode(np.pad(mel, ((0, 0), (0, FRAMES - frames))))
        prompt = whisper.get_prompt(tokenizer, [], without_timestamps=True, prefix=known or None)
        result = whisper.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            max_length=len(prompt) + most * TOKENS_PER_WORD,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
        )[0]
        tokens = [token for token in result.sequences_ids[0] if token < tokenizer.eot]
        start = len(tokenizer.encode(" " + known)) if known else 0  # the forced tokens come first
        if get_compression_ratio(tokenizer.decode(tokens[start:])) > COMPRESSION or (
            result.scores[0] < LOG_PROBABILITY and result.no_speech_prob > NO_SPEECH
        ):
            return None
        aligned = whisper.find_alignment(tokenizer, [tokens], encoded, frames)[0]
        merge_punctuations(aligned, OPENING, CLOSING)
        found = []
        place = 0
        for item in aligned:
            text = item["word"].strip()
            # Punctuation after the last known word belongs to that, and comes too late.
            if place >= start and any(c.isalnum() for c in text):
                found.append(
                    (text, float(item["start"]), float(item["end"]), float(item["probability"]))
                )
            place += len(item["tokens"])
        return found[:most]
