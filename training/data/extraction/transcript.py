"""Transcribes the sound of a whole clip into timed words, by the passes that run live.

A passage is transcribed again and again live, while it grows, but only once here, when it is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from normtr.sound import Samples
from normtr.speech import LEAD_S, RATE, TAIL_S, Whisper, most_words, stretches
from normtr.speech_limits import PASSAGE_S, PAUSE_MS
from normtr.text import TimedWord
from normtr.understood_speech import is_understood


def transcript(sound: Samples, whisper: Whisper) -> tuple[TimedWord, ...]:
    """Return the words of a sound float32 [n] at 16 kHz, in order and without overlaps.

    Their times are ns from the first sample. Words of speech that the model does not know are left
    out.
    """
    words: list[TimedWord] = []
    sure: list[float] = []
    for begin, end in passages(stretches(sound, longest_s=PASSAGE_S)):
        first = max(0, begin - round(LEAD_S * RATE))
        last = end + round(TAIL_S * RATE)
        heard = whisper.words(sound[first:last], "", most_words((last - first) / RATE))
        sure += [probability for *_, probability in heard or ()]
        if not is_understood(sure):
            continue
        for text, begin_s, end_s, _ in heard or ():
            floor_ns = words[-1].end_ns if words else 0
            begin_ns = max(_ns(first) + round(begin_s * 1e9), floor_ns)
            words.append(TimedWord(text, begin_ns, max(_ns(first) + round(end_s * 1e9), begin_ns)))
    return tuple(words)


def passages(speech: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join stretches of speech that have short pauses between them, up to PASSAGE_S seconds.

    Stretches and passages are [begin, end) in samples.
    """
    begin: int | None = None
    end = 0
    for first, last in speech:
        paused = first - end >= PAUSE_MS * RATE // 1000
        if begin is not None and (paused or last - begin > PASSAGE_S * RATE):
            yield begin, end
            begin = None
        begin = first if begin is None else begin
        end = last
    if begin is not None:
        yield begin, end


def _ns(sample: int) -> int:
    return sample * 1_000_000_000 // RATE
