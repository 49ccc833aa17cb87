"""Turns sound into timed words: Silero finds speech, and Whisper listens to it in single passes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import (
    get_compression_ratio,
    get_suppressed_tokens,
    merge_punctuations,
)
from faster_whisper.vad import VadOptions, get_speech_timestamps

from normtr import models
from normtr.errors import UserError
from normtr.sound import Samples
from normtr.speech_limits import THRESHOLD

RATE = 16_000
# A passage that starts in silence keeps this much before the speech, and one that ends in
# silence this much after it: first and last sounds of a word are faint.
LEAD_S = 0.5
TAIL_S = 0.2
# Whisper's own thresholds for text that is no speech, or a loop.
NO_SPEECH = 0.6
LOG_PROBABILITY = -1.0
COMPRESSION = 2.4
# Whisper was taught on sound with silence after it, up to 30 s. Its encoder takes any length, and
# this much is enough for it to see where the sound ends, if what it writes beyond that is cut off.
SILENT_FRAMES = 150
LEAST_FRAMES = 500
# Words that have no time left so close to the sound's end were not said: Whisper goes on writing.
END_S = 0.4
INSTANT_S = 0.03
WORDS_PER_S = 6.0
TOKENS_PER_WORD = 2
OPENING, CLOSING = "\"'“([{-", "\"'.,!?:”)]}"


def stretches(
    samples: Samples, threshold: float = THRESHOLD, longest_s: float = math.inf
) -> list[tuple[int, int]]:
    """Return where there is speech: samples [begin, end) in order, divided by pauses of 100 ms.

    `samples` is float32 [n] at 16 kHz. A stretch longer than `longest_s` is cut, at a pause if
    possible.
    """
    options = VadOptions(
        threshold=threshold,
        min_speech_duration_ms=100,
        max_speech_duration_s=longest_s,
        min_silence_duration_ms=100,
        speech_pad_ms=0,
    )
    found = get_speech_timestamps(samples, options)
    return [(int(one["start"]), int(one["end"])) for one in found]


def most_words(seconds: float) -> int:
    """Return the largest number of words that can be said in this time; it limits what a pass
    writes."""
    return math.ceil(max(seconds, 0.0) * WORDS_PER_S) + 1


class Whisper:
    """Runs single passes of Whisper: temperature 0, one beam, one thread each."""

    def __init__(self, model: str = models.SPEECH, language: str = "en", users: int = 1) -> None:
        """Load the model.

        `model` is an embedded package, a CTranslate2 folder, or (with a network) a hub name.
        `users` threads can run a pass at once; others wait. Raises UserError when the model cannot
        be loaded or does not know the language.
        """
        self._model = models.speech_model(model, users)
        many = self._model.model.is_multilingual
        if language not in self._model.supported_languages:
            wanted = f"the speech model {model!r} does not know the language {language!r}"
            if many:
                raise UserError(f"{wanted}; languages are codes like 'de' or 'zh'.")
            raise UserError(f"{wanted}, only 'en'; name a multilingual model, or give --text off.")
        self._tokenizer = Tokenizer(
            self._model.hf_tokenizer, many, task="transcribe", language=language
        )
        self._suppressed = get_suppressed_tokens(self._tokenizer, [-1])

    def words(
        self, samples: Samples, known: str, most: int
    ) -> Sequence[tuple[str, float, float, float]] | None:
        """Return at most `most` words that follow the text `known`.

        A word is (text, begin s, end s, probability). `samples` is float32 [n] of at most 15 s.
        Returns None when the text is no speech or a loop.
        """
        tokenizer, whisper = self._tokenizer, self._model
        mel = whisper.feature_extractor(samples)
        frames = mel.shape[1]
        silent = max(SILENT_FRAMES, LEAST_FRAMES - frames)
        encoded = whisper.encode(np.pad(mel, ((0, 0), (0, silent))))
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
        if result.scores[0] < LOG_PROBABILITY and result.no_speech_prob > NO_SPEECH:
            return None
        aligned = whisper.find_alignment(tokenizer, [tokens], encoded, frames)[0]
        merge_punctuations(aligned, OPENING, CLOSING)
        end_s = len(samples) / RATE - END_S
        found = []
        place = 0
        for item in aligned:
            text = item["word"].strip()
            # Punctuation after the last known word belongs to that word, and comes too late.
            if place >= start and any(c.isalnum() for c in text):
                first, last = float(item["start"]), float(item["end"])
                if first >= end_s and last - first < INSTANT_S:
                    break
                found.append((text, first, last, float(item["probability"])))
            place += len(item["tokens"])
        looped = get_compression_ratio(" ".join(word for word, *_ in found)) > COMPRESSION
        return None if looped else found[:most]
