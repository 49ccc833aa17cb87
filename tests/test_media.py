"""Any file as a clip: the right pictures and sound at the right times, or one clear sentence."""

from __future__ import annotations

import contextlib
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from normtr.errors import UserError
from normtr.media import Media, Picture, Piece
from tests.support import clips

MS = 1_000_000


def read(path: Path) -> tuple[list[Picture], list[Piece]]:
    with Media(str(path)) as media:
        items = list(media)
    pictures = [item for item in items if isinstance(item, Picture)]
    pieces = [item for item in items if isinstance(item, Piece)]
    assert len(pictures) <= 1 or media.has_picture
    assert not pieces or media.has_sound
    return pictures, pieces


def whole(pieces: list[Piece]) -> NDArray[np.float32]:
    return np.concatenate([piece.samples for piece in pieces])


def times_ms(pictures: list[Picture]) -> list[float]:
    return [picture.at_ns / MS for picture in pictures]


def refusal(path: Path) -> str:
    """The sentence with which a file is refused; it names the file and is one line."""
    with pytest.raises(UserError) as caught, Media(str(path)) as media:
        list(media)
    sentence = str(caught.value)
    assert path.name in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


@pytest.mark.parametrize("kind", [".mp4", ".mkv", ".avi", ".mov"])
def test_pictures_and_sound_come_with_their_times(tmp_path: Path, kind: str) -> None:
    pictures, pieces = read(clips.write(tmp_path / f"clip{kind}"))
    assert times_ms(pictures) == [40.0 * n for n in range(25)]
    assert pictures[-1].end_ns == 1000 * MS
    assert pieces[0].at_ns == 0
    assert len(whole(pieces)) == pytest.approx(16_000, abs=1024)  # AAC fills its last block
    assert np.abs(whole(pieces)[:16_000] - clips.tone(16_000, 1.0)).mean() < 0.01


def test_things_come_in_the_order_of_their_arrival(tmp_path: Path) -> None:
    with Media(str(clips.write(tmp_path / "clip.mkv", seconds=2.0))) as media:
        arrivals = [item.arrival_ns for item in media]
    assert arrivals == sorted(arrivals)


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "7.1"])
@pytest.mark.parametrize("rate", [8000, 11_025, 44_100, 48_000, 96_000])
def test_any_rate_and_any_number_of_channels_give_the_same_wave(
    tmp_path: Path, rate: int, layout: str
) -> None:
    wave = clips.tone(rate, 0.5)
    path = clips.write(tmp_path / "clip.mkv", picture=False, rate=rate, layout=layout, samples=wave)
    _, pieces = read(path)
    assert {piece.rate for piece in pieces} == {rate}
    assert np.abs(whole(pieces) - wave).max() < 1e-4
    before = np.cumsum([0, *(len(piece.samples) for piece in pieces)])[:-1]
    assert [piece.at_ns / MS for piece in pieces] == pytest.approx(before * 1000 / rate, abs=1)
    assert max(len(piece.samples) for piece in pieces) <= rate // 50


def test_a_variable_frame_rate_keeps_every_pictures_own_time(tmp_path: Path) -> None:
    times_s = [0.0, 0.01, 0.02, 0.3, 0.35, 0.9]
    for kind in ("mp4", "mkv"):
        pictures, _ = read(clips.write(tmp_path / f"clip.{kind}", times_s=times_s))
        assert times_ms(pictures) == pytest.approx([t * 1000 for t in times_s])


@pytest.mark.slow
@pytest.mark.parametrize(("size", "fps"), [((16, 16), 25), ((3840, 2160), 1)])
def test_tiny_and_huge_pictures_come_as_they_are(
    tmp_path: Path, size: tuple[int, int], fps: float
) -> None:
    pictures, _ = read(clips.write(tmp_path / "clip.mp4", size=size, fps=fps))
    assert len(pictures) == fps
    image = pictures[0].image()
    assert (image.shape, image.dtype) == ((size[1], size[0], 3), np.uint8)
    assert np.abs(image.astype(int) - clips.pattern(size, 0.0)).mean() < 40


def test_a_telephones_sideways_picture_is_turned_upright(tmp_path: Path) -> None:
    path = clips.write(
        tmp_path / "clip.mp4", sound=False, draw=lambda size, _: _left_half_red(size)
    )
    data = bytearray(path.read_bytes())
    matrix = data.find(b"tkhd") + 44  # turned clockwise by a quarter for showing
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    image = read(path)[0][0].image()
    assert image.shape == (64, 48, 3)
    assert image[:24, :, 0].mean() > 200  # what was left is on top
    assert image[40:, :, 0].mean() < 50


def _left_half_red(size: tuple[int, int]) -> clips.Image:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[:, : size[0] // 2, 0] = 255
    return image


@pytest.mark.parametrize(("kind", "slack_ms"), [("mkv", 0), ("mp4", 65)])
def test_sound_that_starts_late_has_its_own_times(
    tmp_path: Path, kind: str, slack_ms: float
) -> None:
    pictures, pieces = read(clips.write(tmp_path / f"clip.{kind}", sound_from_s=0.5))
    assert pictures[0].at_ns == 0
    assert pieces[0].at_ns / MS == pytest.approx(500, abs=slack_ms)  # AAC begins with padding
    assert pieces[-1].end_ns / MS == pytest.approx(1000, abs=65)


def test_a_clip_without_sound_or_without_picture_says_so(tmp_path: Path) -> None:
    silent = Media(str(clips.write(tmp_path / "silent.mp4", sound=False)))
    assert (silent.has_picture, silent.has_sound) == (True, False)
    blind = Media(str(clips.write(tmp_path / "blind.wav", picture=False)))
    assert (blind.has_picture, blind.has_sound) == (False, True)
    assert len(list(silent)) == 25
    assert len(whole([item for item in blind if isinstance(item, Piece)])) == 16_000


def test_the_cover_of_a_song_is_no_picture_of_a_person(tmp_path: Path) -> None:
    with Media(str(clips.write_tagged_song(tmp_path / "song.mp3"))) as song:
        assert (song.has_picture, song.has_sound) == (False, True)
        assert all(isinstance(item, Piece) for item in song)


def test_tags_in_an_old_encoding_do_no_harm(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "clip.wav", picture=False)
    tag = b"LIST" + struct.pack("<I", 16) + b"INFOINAM" + struct.pack("<I", 4) + b"M\xfc\xdf\x00"
    data = bytearray(path.read_bytes()) + tag
    data[4:8] = struct.pack("<I", len(data) - 8)
    path.write_bytes(data)
    assert len(whole(read(path)[1])) == 16_000


@pytest.mark.parametrize("name", ["12:30 talk.mp4", "http:x.mp4", "a%03d.mp4", "-i.mp4", "ü#?.mp4"])
def test_any_name_a_file_can_have_is_opened(tmp_path: Path, name: str) -> None:
    assert len(read(clips.write(tmp_path / "clip.mp4").rename(tmp_path / name))[0]) == 25


@pytest.mark.parametrize("kind", ["mkv", "avi"])
def test_of_a_file_cut_in_the_middle_the_first_half_is_seen(tmp_path: Path, kind: str) -> None:
    path = clips.write(tmp_path / f"clip.{kind}", seconds=2.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    pictures, pieces = read(path)
    assert 10 < len(pictures) < 40
    assert times_ms(pictures) == [40.0 * n for n in range(len(pictures))]
    assert 500 < pieces[-1].end_ns / MS < 1600


def test_of_an_mp4_cut_in_the_middle_nothing_can_be_known(tmp_path: Path) -> None:
    path = clips.write(tmp_path / "clip.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "damaged" in refusal(path)


def test_a_missing_file_a_folder_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing.mp4").startswith("there is no file")
    assert refusal(tmp_path).endswith("is a folder; give a clip in it.")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert refusal(empty) == "empty.mp4 is empty."


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi", "wav", "mp3", "ts", "png", "bin"])
def test_random_bytes_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"noise.{kind}"
    path.write_bytes(np.random.default_rng(0).bytes(20_000))
    refusal(path)


def test_bytes_that_look_like_a_game_s_sound_are_refused(tmp_path: Path) -> None:
    """This is one of some thousand random files that FFmpeg takes for `ea_cdata`."""
    path = tmp_path / "noise.mp4"
    path.write_bytes(np.random.default_rng(1053).bytes(50_000))
    with pytest.raises(UserError, match=r"noise\.mp4 cannot be read as a clip"):
        Media(str(path))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.txt", "I am happy today.\n" * 50),
        ("notes.mp4", "I am happy today.\n" * 50),
        ("words.srt", "1\n00:00:01,000 --> 00:00:02,000\nhello\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n"),
    ],
)
def test_texts_and_lists_are_no_clips(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    refusal(tmp_path / name)


def test_a_damaged_time_does_not_make_a_clip_endless(tmp_path: Path) -> None:
    times_s = [0.0, 0.04, 900_000.0]
    path = clips.write(tmp_path / "clip.mkv", times_s=times_s, sound=False, codec="ffv1")
    assert times_ms(read(path)[0]) == [0.0, 40.0]


@pytest.fixture(scope="module")
def sound_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("whole")
    return [clips.write(folder / f"clip.{kind}", seconds=0.4) for kind in ("mp4", "mkv", "avi")]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_played_or_refused_but_never_fails(
    sound_files: list[Path], tmp_path: Path, data: st.DataObject
) -> None:
    source = data.draw(st.sampled_from(sound_files))
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(1, 30))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = tmp_path / f"damaged{source.suffix}"
    damaged.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        pictures, pieces = read(damaged)
    except UserError as error:
        assert damaged.name in str(error)  # noqa: PT017
        return
    assert all(picture.image().ndim == 3 for picture in pictures)
    assert all(item.end_ns < 3600_000 * MS for item in [*pictures, *pieces])


@pytest.mark.parametrize(
    ("path", "name"), [("clip.mp4?key=secret", "clip.mp4"), ("?key=secret", "")]
)
def test_the_name_of_a_url_holds_no_password(tmp_path: Path, path: str, name: str) -> None:
    """It is told to others. The server gives the clip for any path."""
    clip = clips.write(tmp_path / "clip.mp4").read_bytes()

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(clip)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(clip)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        with Media(f"http://me:secret@{host}/{path}") as media:
            assert media.name == (name or host)
        server.shutdown()
