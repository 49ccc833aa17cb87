"""Make `stream/demo.mp4`, the clip that is played where there is no camera: `make demo`.

The picture is the astronaut portrait of scikit-image's package data (Eileen Collins, photographed
by NASA: public domain), slowly panned and zoomed. The sound is sentences spoken by espeak-ng (a
program under GPL-3, which lays no claim on what it says; the sentences are ours) over a faint noise
floor. Nobody else has rights in the clip, and it comes under this project's licence.

The clip has three gaps: the face behind a board, the sound muted, and both at once. FACE_GAPS,
SOUND_GAPS and SENTENCES say when, for the end-to-end test. Everything is computed from constants,
so on one machine two runs give the same bytes. The script reads back what it wrote, and fails when
the face detector, the speech recognizer or the muted stretches are not as promised.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import re
import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import soxr
from numpy.typing import NDArray

from normtr import models
from normtr.face import align, is_poor
from normtr.face_detector import FaceDetector
from normtr.spec import FaceSpec

DEMO = Path(__file__).parents[1] / "stream" / "demo.mp4"
SECONDS = 25
FRAMES_PER_S = 25
WIDTH, HEIGHT = 640, 360
SAMPLE_RATE = 44_100

FACE_GAPS = ((4.0, 6.5), (17.5, 20.0))
"""(begin_s, end_s): a board stands before the face. It slides in before that and out after it."""
SLIDE_S = 0.24
SOUND_GAPS = ((11.25, 13.75), (17.5, 20.0))
"""(begin_s, end_s): the sound is exactly zero, also when decoded, except CODER_S at each edge."""
CODER_S = 0.05
SENTENCES = (
    (0.75, 2.68, "I am so happy to see you today."),
    (3.50, 6.06, "This is terrible, and it makes me very angry."),
    (7.00, 10.50, "I feel so sad because my best friend is gone."),
    (14.50, 16.78, "Wow, what a wonderful surprise!"),
    (20.75, 23.36, "I am afraid, please do not leave me alone."),
)
"""(begin_s, end_s, text): the first and the last audible moment of each sentence."""
PROSODY = ((150, 60), (165, 40), (135, 30), (150, 65), (150, 55))
"""Words a minute and pitch (on espeak-ng's scale, 0..99) of each sentence."""

SPEECH_DBFS = -21.0
NOISE_DBFS = -65.0
NOISE_SEED = 3
AUDIBLE = 0.003
MUTED_PEAK = 2.0**-16

FACE_CENTRE = (226.0, 121.0)
FACE_SIZE = (84.0, 112.0)
"""The middle and the size of the face's box, in the portrait's own 512 x 512 pixels."""


def portrait() -> NDArray[np.uint8]:
    """Read RGB [512, 512, 3] from the installed package, because `skimage.data` could download."""
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        sys.exit("make_demo: scikit-image is missing; run `make install`.")
    image = cv2.imread(str(Path(found.origin).parent / "data" / "astronaut.png"))
    if image is None:
        sys.exit("make_demo: this scikit-image carries no astronaut.png.")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def view(seconds: float) -> tuple[float, float, float]:
    """Return the scale (clip pixels per portrait pixel) and the left and top of the visible
    part."""
    scale = 1.62 - 0.30 * np.cos(2 * np.pi * seconds / 17.0)
    x = FACE_CENTRE[0] + 26.0 * np.sin(2 * np.pi * seconds / 11.0)
    y = FACE_CENTRE[1] + 12.0 * np.sin(2 * np.pi * seconds / 7.0)
    width, height = WIDTH / scale, HEIGHT / scale
    left = float(np.clip(x - width / 2, 0.0, 512.0 - width))
    top = float(np.clip(y - height / 2, 0.0, 512.0 - height))
    return float(scale), left, top


def covered(seconds: float) -> float:
    """Return how far the board is in: 0 is out of the picture, 1 is before the face."""
    rising = [(seconds - (begin - SLIDE_S)) / SLIDE_S for begin, _ in FACE_GAPS]
    falling = [(end + SLIDE_S - seconds) / SLIDE_S for _, end in FACE_GAPS]
    pairs = zip(rising, falling, strict=True)
    return float(np.clip(max(min(pair) for pair in pairs), 0.0, 1.0))


def picture(image: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8]:
    """Return the clip's RGB [HEIGHT, WIDTH, 3] at this time."""
    scale, left, top = view(seconds)
    matrix = np.array([[scale, 0.0, -left * scale], [0.0, scale, -top * scale]])
    flags = cv2.INTER_CUBIC
    frame = cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=flags)
    share = covered(seconds)
    if share > 0.0:
        x = (FACE_CENTRE[0] - left) * scale
        y = (FACE_CENTRE[1] - top) * scale
        half = 0.85 * FACE_SIZE[0] * scale
        above = y - 0.85 * FACE_SIZE[1] * scale
        # It comes from below and reaches the lower edge, as a board held in the hands does.
        edge = HEIGHT + (above - HEIGHT) * share
        outer = (round(x - half), round(edge)), (round(x + half), HEIGHT + 20)
        cv2.rectangle(frame, *outer, (38, 34, 32), cv2.FILLED)
        inner = (outer[0][0] + 8, outer[0][1] + 8), (outer[1][0] - 8, HEIGHT + 20)
        cv2.rectangle(frame, *inner, (58, 52, 48), cv2.FILLED)
    return np.asarray(frame, np.uint8)


def spoken(text: str, words_per_minute: int, pitch: int) -> NDArray[np.float64]:
    """Return what espeak-ng says, cut to its audible part, at SAMPLE_RATE and SPEECH_DBFS."""
    command = ["espeak-ng", "-v", "en-us", "-s", str(words_per_minute), "-p", str(pitch)]
    try:
        done = subprocess.run([*command, "--stdout", text], capture_output=True, check=True)
    except FileNotFoundError:
        sys.exit("make_demo: espeak-ng is missing; run `apt-get install espeak-ng`.")
    with wave.open(io.BytesIO(done.stdout)) as file:
        rate = file.getframerate()
    # The length in the header is unknown to a pipe; the samples are all that follows 44 bytes.
    sound = np.frombuffer(done.stdout[44:], "<i2").astype(np.float64) / 2**15
    sound = soxr.resample(sound, rate, SAMPLE_RATE, quality="VHQ")
    audible = np.flatnonzero(np.abs(sound) > AUDIBLE)
    sound = sound[audible[0] : audible[-1] + 1]
    level = 10 ** (SPEECH_DBFS / 20) / float(np.sqrt(np.mean(sound**2)))
    return np.asarray(sound * level, np.float64)


def sound() -> NDArray[np.float32]:
    """Return mono [SECONDS * SAMPLE_RATE] in -1..1: sentences, noise, and zeros in SOUND_GAPS."""
    noise = np.random.default_rng(NOISE_SEED).standard_normal(SECONDS * SAMPLE_RATE)
    mix = noise * 10 ** (NOISE_DBFS / 20)
    for (begin, end, text), prosody in zip(SENTENCES, PROSODY, strict=True):
        voice = spoken(text, *prosody)
        first = round(begin * SAMPLE_RATE)
        stop = begin + len(voice) / SAMPLE_RATE
        print(f"{begin:6.2f} - {stop:5.2f} s  {text}")
        if abs(stop - end) > 0.02:
            sys.exit(f"make_demo: {text!r} ends at {stop:.2f} s, SENTENCES says {end:.2f}.")
        mix[first : first + len(voice)] += voice
    for begin, end in SOUND_GAPS:
        mix[round(begin * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = 0.0
    return np.asarray(np.clip(mix, -1.0, 1.0), np.float32)


def write(path: Path) -> None:
    """Write H.264 and AAC on one thread, without times or versions, so that the bytes are the
    same."""
    image, samples = portrait(), sound()
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as file:
        video: Any = file.add_stream("libx264", rate=FRAMES_PER_S)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.thread_count = 1
        video.options = {"crf": "27", "preset": "slow", "g": "50", "flags": "+bitexact"}
        audio: Any = file.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        audio.bit_rate = 64_000
        audio.options = {"flags": "+bitexact"}
        per_frame = SAMPLE_RATE // FRAMES_PER_S
        for index in range(SECONDS * FRAMES_PER_S):
            frame = av.VideoFrame.from_ndarray(picture(image, index / FRAMES_PER_S), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FRAMES_PER_S)
            file.mux(video.encode(frame))
            block = samples[None, index * per_frame : (index + 1) * per_frame]
            heard = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", "mono")
            heard.sample_rate = SAMPLE_RATE
            heard.pts, heard.time_base = index * per_frame, Fraction(1, SAMPLE_RATE)
            file.mux(audio.encode(heard))
        file.mux(video.encode(None))
        file.mux(audio.encode(None))


def read(path: Path) -> tuple[list[tuple[float, NDArray[np.uint8]]], NDArray[np.float32]]:
    """Read the frames with their times in s, and the sound placed by its time stamps."""
    frames: list[tuple[float, NDArray[np.uint8]]] = []
    heard = np.zeros(SECONDS * SAMPLE_RATE, np.float32)
    with av.open(str(path)) as file:
        for packet in file.demux():
            for frame in packet.decode():
                assert frame.time is not None
                if isinstance(frame, av.VideoFrame):
                    frames.append((frame.time, frame.to_ndarray(format="rgb24")))
                elif isinstance(frame, av.AudioFrame):
                    block = frame.to_ndarray()[0]
                    first = round(frame.time * SAMPLE_RATE)
                    block = block[max(0, -first) :][: len(heard) - max(0, first)]
                    heard[max(0, first) : max(0, first) + len(block)] = block
    return frames, heard


def check_faces(frames: list[tuple[float, NDArray[np.uint8]]]) -> list[str]:
    """Return what is wrong with the picture: a usable face is in every frame but those of
    FACE_GAPS."""
    detect, spec = FaceDetector(FaceSpec()), FaceSpec()
    wrong: list[str] = []
    seen, hidden, distances, scores = 0, 0, [], []
    for time, frame in frames:
        share = covered(time)
        if 0.0 < share < 1.0:
            continue
        faces = detect(frame)
        if share == 1.0:
            hidden += 1
            wrong += [f"a face (score {face.score:.2f}) at {time:.2f} s" for face in faces[:1]]
        elif not faces or is_poor(align(frame, faces[0], spec), faces[0], spec):
            wrong.append(f"no usable face at {time:.2f} s")
        else:
            seen += 1
            distances.append(faces[0].eye_distance)
            scores.append(faces[0].score)
    print(
        f"face: {len(frames)} frames, found in {seen}, hidden in {hidden}; eye distance "
        f"{min(distances):.0f}-{max(distances):.0f} px, score {min(scores):.2f}-{max(scores):.2f}"
    )
    if len(frames) != SECONDS * FRAMES_PER_S or min(distances) < 20.0:
        wrong.append("the number of frames or the eye distance is not as planned")
    return wrong


def check_sound(heard: NDArray[np.float32]) -> list[str]:
    """Return what is wrong with the levels: only SOUND_GAPS are zero for half a second."""
    wrong: list[str] = []
    muted = np.zeros(len(heard), bool)
    for begin, end in SOUND_GAPS:
        first, stop = round(begin * SAMPLE_RATE), round(end * SAMPLE_RATE)
        muted[first:stop] = True
        margin = round(CODER_S * SAMPLE_RATE)
        peak = float(np.abs(heard[first + margin : stop - margin]).max())
        quiet = np.flatnonzero(np.abs(heard[first:stop]) < MUTED_PEAK)
        smeared = quiet[0] / SAMPLE_RATE, (stop - first - 1 - quiet[-1]) / SAMPLE_RATE
        print(
            f"muted {begin:.2f} - {end:.2f} s: inner peak {peak:.1e}; smeared by "
            f"{smeared[0] * 1e3:.0f} ms at its begin, {smeared[1] * 1e3:.0f} ms at its end"
        )
        if peak >= MUTED_PEAK:
            wrong.append(f"the muted stretch at {begin} s is not zero: {peak:.1e}")
    blocks = np.abs(np.where(muted, 1.0, heard)).reshape(-1, SAMPLE_RATE // 10).max(1)
    print(f"noise floor: quietest 100 ms outside has peak {20 * np.log10(blocks.min()):.0f} dBFS")
    if blocks.min() < 4 * MUTED_PEAK:
        wrong.append("the coder silenced the noise floor")
    return wrong


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def check_speech(heard: NDArray[np.float32]) -> list[str]:
    """Return what the embedded Whisper gets wrong: in the whole clip, and in each sentence
    alone."""
    from faster_whisper import WhisperModel

    place = models.folder(models.SPEECH)
    whisper = WhisperModel(place, device="cpu", compute_type="int8", cpu_threads=1)
    wrong: list[str] = []

    def transcribe(piece: NDArray[np.float32]) -> str:
        at_16k = soxr.resample(piece, SAMPLE_RATE, 16_000).astype(np.float32)
        segments, _ = whisper.transcribe(at_16k, language="en", temperature=0)
        return " ".join(segment.text.strip() for segment in segments)

    pieces = [(0.0, float(SECONDS), " ".join(text for *_, text in SENTENCES)), *SENTENCES]
    for begin, end, expected in pieces:
        first = max(0, round((begin - 0.4) * SAMPLE_RATE))
        got = transcribe(heard[first : round((end + 0.4) * SAMPLE_RATE)])
        print(f"heard {begin:5.2f} - {end:5.2f} s: {got}")
        if words(got) != words(expected):
            wrong.append(f"heard {got!r} instead of {expected!r}")
    return wrong


def main() -> int:
    cv2.setNumThreads(1)
    write(DEMO)
    frames, heard = read(DEMO)
    wrong = check_sound(heard) + check_faces(frames) + check_speech(heard)
    size = DEMO.stat().st_size
    if size > 1_500_000:
        wrong.append(f"{size} bytes is too large")
    print(
        f"{DEMO.name}: {size / 1e3:.0f} kB, sha256 {hashlib.sha256(DEMO.read_bytes()).hexdigest()}"
    )
    for fault in wrong:
        print(f"WRONG: {fault}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
