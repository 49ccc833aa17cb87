"""Follows where there is speech in a sound that is still coming in, by Silero's network."""

from __future__ import annotations

import numpy as np
from faster_whisper.vad import get_vad_model

from normtr.sound import Samples
from normtr.speech_limits import THRESHOLD

CHUNK = 512
"""The network scores chunks of so many samples."""
_CONTEXT = 64  # it also sees so many samples before each chunk
_HYSTERESIS = 0.15  # a score so far under the threshold ends speech, as Silero's authors have it
_SHORTEST = 1600  # shorter speech and shorter pauses (100 ms) do not count


class VoiceActivity:
    """Listens to one stream at 16 kHz. Each sample is looked at once: the network has a memory."""

    def __init__(self, begin: int, threshold: float = THRESHOLD) -> None:
        """The stream begins with sample `begin`; a score (0..1) from `threshold` on is speech."""
        self.end = begin
        """The first sample that has not been heard."""
        self.speech_end = begin
        """Where the last speech ended so far; `begin` if there was none."""
        self.speaking = False
        """Whether the last speech still goes on: a pause of 100 ms ends it."""
        self._threshold = threshold
        self._network = get_vad_model().session
        self._memory = [np.zeros((1, 1, 128), np.float32) for _ in range(2)]
        self._before = np.zeros(_CONTEXT, np.float32)
        self._begin: int | None = None  # where the speech began that may still go on
        self._pause: int | None = None  # where it paused

    def hear(self, samples: Samples) -> None:
        """Take in the next samples, float32 [n]; n is a multiple of CHUNK, and not 0."""
        sound = np.concatenate([self._before, samples])
        windows = np.lib.stride_tricks.sliding_window_view(sound, _CONTEXT + CHUNK)[::CHUNK]
        hidden, cell = self._memory
        inputs = {"input": np.ascontiguousarray(windows), "h": hidden, "c": cell}
        scores, *self._memory = self._network.run(None, inputs)
        self._before = sound[-_CONTEXT:]
        for score in scores.ravel():
            self._follow(float(score))

    def _follow(self, score: float) -> None:
        """Take in the score of the next chunk."""
        chunk, self.end = self.end, self.end + CHUNK
        if score >= self._threshold:
            self._begin = chunk if self._begin is None else self._begin
            self._pause = None
        elif score < self._threshold - _HYSTERESIS and self._pause is None:
            self._pause = chunk
        if self._begin is None:
            return
        speech_end = self.end if self._pause is None else self._pause
        if speech_end - self._begin > _SHORTEST:
            self.speaking, self.speech_end = True, speech_end
        if chunk - speech_end >= _SHORTEST:
            self._begin, self.speaking = None, False
