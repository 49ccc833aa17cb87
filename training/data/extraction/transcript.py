"""The sound of a whole clip -> timed words, by the passes that run live.

Live, a passage is listened to again and again while it grows; here once, when it is over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from normtr.sound import Samples
from normtr.speech import LEAD_S, RATE, TAIL_S, Whisper, most_words, stretches
from normtr.speech_limits import PASSAGE_S, PAUSE_MS
from normtr.text import TimedWord


def transcript(sound: Samples, whisper: Whisper) -> tuple[TimedWord, ...]:
    """float32 [n] at 16 kHz -> its words in order, in ns from its first sample; none overlap."""
    words: list[TimedWord] = []
    for begin, end in passages(stretches(sound, longest_s=PASSAGE_S)):
        first = max(0, begin - round(LEAD_S * RATE))
        last = end + round(TAIL_S * RATE)
        heard = whisper.words(sound[first:last], "", most_words((last - first) / RATE))
        for text, begin_s, end_s, _ in heard or ():
            floor_ns = words[-1].end_ns if words else 0
            begin_ns = max(_ns(first) + round(begin_s * 1e9), floor_ns)
            words.append(TimedWord(text, begin_ns, max(_ns(first) + round(end_s * 1e9), begin_ns)))
    return tuple(words)


def passages(speech: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join stretches [begin, end) of speech with short pauses between them, up to a pass's bound."""
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
