"""From a folder of clips and a table to a cache, and from the cache to windows."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import resource
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faster_whisper.audio import decode_audio

from normtr import checkpoint, cli
from normtr.errors import UsageError, UserError
from normtr.shipped import SHIPPED
from normtr.spec import LABELS, MODALITIES, FeatureSpec
from normtr.text import TextEncoder
from stream.pipeline.window_assembler import Estimate
from stream.session.session import DEMO, SourceConfig, open_session
from tests.support import clips
from tests.support.caches import RECOGNIZER, SPEC, features, filled, growing
from training.commands import evaluate, extract, train
from training.data.extracted import Extracted
from training.data.extraction import clip_table, extraction
from training.data.extraction.cache import Labelled, open_cache
from training.data.extraction.cache_writer import Version
from training.data.extraction.clip_features import GAP_NAMES, ClipFeatures, Unusable
from training.data.extraction.transcript import passages
from training.data.mosi import MosiWords
from training.systems.noise_aware import Learning
from training.systems.norm_tr import Architecture, NormTrSystem
from training.systems.take_over import take_over

pytestmark = pytest.mark.slow

LINES = (
    ("a.mp4", "train", "happy", "anna"),
    ("b.mp4", "train", "sad", "bert"),
    ("c.mp4", "valid", "sad", "cleo"),
    ("d.mp4", "test", "happy", "dora"),
)


def write_table(path: Path, lines: Sequence[Sequence[object]], *, header: str = "") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((header or "clip,split,label,person").split(","))
        writer.writerows(lines)
    return path


class Fake:
    """In place of the networks: a file's content is how many steps it has, or what is wrong."""

    seen: tuple[str, ...] = ()

    def __call__(self, path: Path) -> ClipFeatures | Unusable:
        Fake.seen += (path.name,)
        content = path.read_text()
        if content == "interrupt":
            raise KeyboardInterrupt
        steps, _, seed = content.partition(",")
        return features(int(steps), int(seed)) if seed else Unusable(content)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """No networks and no processes, but everything else."""

    def spread(
        pieces: Sequence[Path], start: Callable[[], Fake], jobs: int
    ) -> Iterator[tuple[Path, Any]]:
        yield from ((piece, start()(piece)) for piece in pieces)

    Fake.seen = ()
    monkeypatch.setattr(extraction, "spread", spread)
    monkeypatch.setattr(extraction, "ClipEncoder", lambda *_: Fake())


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    for i, (name, *_) in enumerate(LINES):
        (folder / name).write_text(f"{10 + 5 * i},{i}")
    return folder


def arguments(media: Path, *more: str, lines: Sequence[Sequence[object]] = LINES) -> list[str]:
    table = write_table(media.parent / "labels.csv", lines)
    out = media.parent / "cache"
    return ["--media", str(media), "--labels", str(table), "--out", str(out), *more]


def changed(of: str, /, **cells: str) -> list[list[str]]:
    names = ("clip", "split", "label", "person")
    return [
        [cells.get(n, c) if line[0] == of else c for n, c in zip(names, line, strict=True)]
        for line in LINES
    ]


# The real thing


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A cache of a talking and a silent portrait, beside bad files, and what was told."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "media").mkdir()
    talk = partial(clips.write, size=(320, 240), draw=clips.face)
    sound = decode_audio(str(DEMO))[: 16_000 * 17 // 5]  # "I am so happy to see you today."
    talk(folder / "media" / "talk.mkv", seconds=5.0, samples=sound)
    still = talk(folder / "media" / "still.mkv", seconds=2.0, sound=False)
    (folder / "media" / "cut.mkv").write_bytes(still.read_bytes()[: still.stat().st_size // 3])
    (folder / "media" / "bad.mp4").write_text("no clip")
    lines = [
        ("talk.mkv", "train", "happy", "astronaut"),
        ("still.mkv", "valid", "sad", "another"),
        ("cut.mkv", "test", "sad", "someone"),
        ("bad.mp4", "test", "sad", "someone"),
    ]
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        assert extract.run(arguments(folder / "media", "--jobs", "1", lines=lines)) == 1
    return folder / "cache", told.getvalue()


def test_rows_of_the_cache_are_those_of_the_live_pipe(real: tuple[Path, str]) -> None:
    cache = open_cache(real[0])
    [(_, place)] = [(c, p) for c, p in cache.manifest.clips if c.id == "talk.mkv"]
    clip = real[0].parent / "media" / "talk.mkv"
    config = SourceConfig(source=str(clip), fast=True, text="off")
    seen = [out for _, out in open_session(config).stream if isinstance(out, Estimate)]
    assert place.steps == len(seen) == 20
    gaps = cache.gaps()[place.offset : place.offset + place.steps]
    for i, modality in enumerate(("face", "voice")):
        live = np.array([estimate.window.rows[modality][-1] for estimate in seen])
        rows = cache.rows(modality)[place.offset : place.offset + place.steps]
        assert np.array_equal(rows, live)
        names = [GAP_NAMES[number] for number in gaps[:, i]]
        assert names == [estimate.window.gaps[modality][-1] for estimate in seen]
        assert names.count("none") >= 8


def test_text_rows_are_those_of_the_window_that_ends_with_the_clip(real: tuple[Path, str]) -> None:
    words = open_cache(real[0]).words()["talk.mkv"]
    assert "so happy to see you today" in " ".join(word.text for word in words).lower()
    assert all(a.end_ns <= b.begin_ns for a, b in pairwise(words))
    expected = TextEncoder(SPEC.text, adapter=RECOGNIZER.adapter).rows(
        words, 4 * SPEC.step_ns, SPEC.step_ns, 16
    )
    samples = Extracted(real[0]).load("train")
    valid = samples.windows.valid[0, 2].numpy()
    assert valid.tolist() == [row is not None for row in expected]
    assert 0 < valid.sum() < 16
    for step, row in enumerate(expected):
        if row is not None:
            assert np.array_equal(samples.windows.rows["text"][0, step].numpy(), row)


def test_a_clip_without_sound_says_so_and_stands_at_the_windows_end(real: tuple[Path, str]) -> None:
    cache = open_cache(real[0])
    [(_, place)] = [(c, p) for c, p in cache.manifest.clips if c.id == "still.mkv"]
    gaps = cache.gaps()[place.offset : place.offset + place.steps]
    assert {GAP_NAMES[n] for n in gaps[:, 1:].flat} == {"no_track"}
    valid = Extracted(real[0]).load("valid").windows.valid[0]
    assert valid[0].tolist() == [False] * 8 + [True] * 8
    assert not valid[1:].any()


def test_bad_files_are_reported_and_skipped(real: tuple[Path, str]) -> None:
    cache, said = real
    assert said.splitlines()[-1] == (
        "2 of 4 clips were skipped (bad.mp4, cut.mkv); the cache holds the others and says why. "
        "With --allow-skipped this is no failure."
    )
    skipped = open_cache(cache).manifest.skipped
    assert set(skipped) == {"cut.mkv", "bad.mp4"}
    assert "breaks off after" in skipped["cut.mkv"]
    assert "no media file" in skipped["bad.mp4"]
    assert all(reason in said for reason in skipped.values())


# Stopped and resumed


@pytest.mark.usefixtures("fake")
def test_a_stopped_extraction_goes_on_where_it_was(media: Path) -> None:
    cache = media.parent / "cache"
    (media / "c.mp4").write_text("interrupt")
    with pytest.raises(KeyboardInterrupt):
        extract.run(arguments(media))
    assert not cache.exists()
    (media / "c.mp4").write_text("20,2")
    Fake.seen = ()
    assert extract.run(arguments(media)) == 0
    assert Fake.seen == ("c.mp4", "d.mp4")
    assert not cache.with_name("cache.partial").exists()
    opened = open_cache(cache)
    assert [clip.id for clip, _ in opened.manifest.clips] == [line[0] for line in LINES]
    for i, (_, place) in enumerate(opened.manifest.clips):
        expected = features(10 + 5 * i, i)
        steps = slice(place.offset, place.offset + place.steps)
        assert np.array_equal(opened.gaps()[steps], expected.gaps)
        assert all(np.array_equal(opened.rows(m)[steps], x) for m, x in expected.rows.items())
        assert opened.words()[LINES[i][0]] == expected.words


@pytest.mark.usefixtures("fake")
def test_what_was_half_written_is_cut_off(media: Path) -> None:
    partial_cache = media.parent / "cache.partial"
    (media / "c.mp4").write_text("interrupt")
    with pytest.raises(KeyboardInterrupt):
        extract.run(arguments(media))
    with (partial_cache / "voice.npy").open("ab") as file:
        file.write(b"\x01" * 5_000)
    index = partial_cache / "clips.jsonl"
    index.write_bytes(index.read_bytes()[:-7])  # the line of b.mp4 is not whole
    (media / "c.mp4").write_text("20,2")
    Fake.seen = ()
    assert extract.run(arguments(media)) == 0
    assert Fake.seen == ("b.mp4", "c.mp4", "d.mp4")
    samples = Extracted(media.parent / "cache").load("train")
    assert np.array_equal(samples.windows.rows["voice"][1, 1:], features(15, 1).rows["voice"])


@pytest.mark.usefixtures("fake")
def test_a_finished_cache_is_brought_up_to_date(media: Path) -> None:
    cache = media.parent / "cache"
    (media / "b.mp4").write_text("odd.")
    assert extract.run(arguments(media)) == 1
    assert open_cache(cache).manifest.skipped == {"b.mp4": "odd."}
    before = (cache / "manifest.json").read_bytes()
    Fake.seen = ()
    assert extract.run(arguments(media, "--allow-skipped")) == 0
    assert Fake.seen == ("b.mp4",)  # what was skipped is tried again
    assert (cache / "manifest.json").read_bytes() == before
    (media / "a.mp4").write_text("30,7")  # a changed clip, a mended one, a new label
    (media / "b.mp4").write_text("12,8")
    assert extract.run(arguments(media, lines=changed("c.mp4", label="happy"))) == 0
    assert Fake.seen == ("b.mp4", "a.mp4", "b.mp4")
    samples = Extracted(cache, steps=30).load("train")
    assert np.array_equal(samples.windows.rows["face"][0], features(30, 7).rows["face"])
    assert np.array_equal(samples.windows.rows["face"][1, 18:], features(12, 8).rows["face"])
    assert Extracted(cache).load("valid").windows.labels.tolist() == [0]


@pytest.mark.usefixtures("fake")
def test_other_settings_and_other_folders_are_refused(media: Path) -> None:
    cache = media.parent / "cache"
    cache.mkdir()
    with pytest.raises(UserError, match="is no cache"):
        extract.run(arguments(media))
    cache.rmdir()
    assert extract.run(arguments(media)) == 0
    with pytest.raises(UserError, match="another checkpoint or other settings"):
        extract.run(arguments(media, "--text", "off"))
    assert len(open_cache(cache).manifest.clips) == 4


@pytest.mark.usefixtures("fake")
def test_where_every_clip_fails_nothing_is_left(media: Path) -> None:
    for path in media.iterdir():
        path.write_text("odd.")
    with pytest.raises(UserError, match="none of the 4 clips"):
        extract.run(arguments(media))
    assert not list(media.parent.glob("cache*"))


def test_a_full_disk_is_one_sentence_and_leaves_what_was_finished(tmp_path: Path) -> None:
    """Files may not grow beyond 200 kB: a real failure of the system, like that of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(UserError, match="cannot be written: File too large"):
            filled(
                tmp_path / "cache", [Labelled(f"{i}.mp4", "test", 0.5, "anna") for i in range(5)]
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "cache").exists()
    with growing(tmp_path / "cache") as cache:
        assert cache.has("3.mp4", Version(1, 1))
        assert not cache.has("4.mp4", Version(1, 1))
        cache.add("4.mp4", Version(1, 1), features(20, 4))
        cache.finish(tuple(Labelled(f"{i}.mp4", "test", 0.5, "anna") for i in range(5)), None, {})
    rows = Extracted(tmp_path / "cache", steps=20).load("test").windows.rows["text"]
    assert np.array_equal(rows, [features(20, i).rows["text"] for i in range(5)])


def test_two_programs_do_not_write_one_cache(tmp_path: Path) -> None:
    with growing(tmp_path / "cache") as one, growing(tmp_path / "cache") as two:
        one.add("a.mp4", Version(1, 1), features(5, 1))
        with pytest.raises(UserError, match="another program writes"):
            two.add("b.mp4", Version(1, 1), features(5, 2))
        shutil.rmtree(tmp_path / "cache.partial")


# Refused


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (changed("b.mp4", label=""), "line 3: the label of b.mp4 is missing"),
        (changed("b.mp4", person=" "), "line 3: the person of b.mp4 is missing"),
        (changed("d.mp4", split="dev"), "line 5: the split is one of train, valid, test"),
        (changed("b.mp4", clip="./a.mp4"), "lines 2 and 3 are one clip"),
        (changed("b.mp4", clip="../labels.csv"), "line 3: ../labels.csv is outside"),
        (changed("d.mp4", person="anna"), "in two splits: anna; .*--shared-people"),
        ([[*line[:2], "same", line[3]] for line in LINES], "one class only, 'same'"),
        (
            [[*line[:2], n, line[3]] for line, n in zip(LINES, (1, 2.5, "nan", 0), strict=True)],
            "line 4: the label 'nan' is no number",
        ),
        ([], "names no clips"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_sentence(
    media: Path, lines: list[list[str]], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        extract.run(arguments(media, lines=lines))


def test_missing_columns_are_named_and_others_not_looked_at(media: Path) -> None:
    argv = arguments(media)
    write_table(media.parent / "labels.csv", LINES, header="clip,split,emotion,who")
    with pytest.raises(UserError, match="lacks the columns label, person"):
        extract.run(argv)
    (media.parent / "labels.csv").write_bytes(b"clip,split,label,person\n\xff,train,1,2\n")
    with pytest.raises(UserError, match="cannot be read"):
        extract.run(argv)
    rows = [[line[3], "remark", *line[:3]] for line in LINES]
    write_table(media.parent / "labels.csv", rows, header="person,note,clip,split,label")
    table = clip_table.read(media.parent / "labels.csv", regression=False)
    assert table.clips == tuple(Labelled(*line) for line in LINES)
    assert table.classes == ("happy", "sad")


@pytest.mark.usefixtures("fake")
def test_people_in_two_splits_can_be_asked_for(
    media: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line for line in changed("d.mp4", person="anna") if line[0] != "c.mp4"]
    assert extract.run(arguments(media, "--shared-people", lines=lines)) == 0
    assert "not in the table, so left out: c.mp4" in capsys.readouterr().err
    cache = Extracted(media.parent / "cache")
    assert cache.load("train").groups[0] == cache.load("test").groups[0] == "anna"


def test_wrong_options_are_one_sentence(media: Path) -> None:
    with pytest.raises(UsageError, match="--jobs must be at least 1"):
        extract.run(arguments(media, "--jobs", "0"))
    with pytest.raises(UserError, match="there is no folder"):
        extract.run([*arguments(media)[2:], "--media", "nowhere"])


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Six clips with numbers for labels."""
    with growing(tmp_path / "cache") as cache:
        found = []
        for i, split in enumerate(("train", "train", "train", "valid", "test", "test")):
            found.append(Labelled(f"{i}.mp4", split, i / 2, f"p{i}"))
            cache.add(f"{i}.mp4", Version(1, 1), features(6 + 5 * i, i))
        cache.finish(tuple(found), None, {"bad.mp4": "odd."})
    return tmp_path / "cache"


@pytest.mark.parametrize("name", ["face.npy", "gaps.npy", "clips.jsonl", "manifest.json"])
def test_a_cut_off_cache_is_refused(cache: Path, name: str) -> None:
    whole = (cache / name).read_bytes()
    (cache / name).write_bytes(whole[:-5])
    with pytest.raises(UserError, match=rf"{name.split('.')[0]}.* (bytes, not|is damaged)"):
        Extracted(cache).load("train")
    (cache / name).unlink()
    with pytest.raises(UserError, match=r"is missing|is no cache"):
        Extracted(cache).load("train")


def test_a_cache_of_other_features_is_refused(cache: Path, tmp_path: Path) -> None:
    other = FeatureSpec(settle_ms=200)
    with pytest.raises(UserError, match="another feature specification"):
        Extracted(cache, spec=other).load("train")
    one = [Labelled("a.mp4", "train", 1.0, "anna")]
    with pytest.raises(UserError, match="has no clips of the split"):
        Extracted(filled(tmp_path / "one", one)).load("valid")
    with pytest.raises(UserError, match="another checkpoint"):
        Extracted(cache).at(filled(tmp_path / "other", one, sha256="1" * 64))
    manifest = json.loads((cache / "manifest.json").read_text())
    for change, said in (
        ({"format": 2}, "has format 2"),
        (
            {
                "features": {
                    **manifest["features"],
                    "spec": {**manifest["features"]["spec"], "steps": 8},
                }
            },
            "was changed",
        ),
        ({"features": {**manifest["features"], "spec": {"hop": 3}}}, "other features"),
        ({"clips": [{**manifest["clips"][0], "steps": 10_000}]}, "names steps"),
        ({"clips": [{**manifest["clips"][0], "label": "happy"}]}, "has the label 'happy'"),
        ({"clips": [{}]}, "does not fit"),
    ):
        (cache / "manifest.json").write_text(json.dumps({**manifest, **change}))
        with pytest.raises(UserError, match=said):
            Extracted(cache).load("train")


# As a data set


def test_windows_are_the_last_steps_and_nothing_before_the_start(cache: Path) -> None:
    data = Extracted(cache, steps=10, modalities=("voice", "text"))
    samples = data.load("test")
    assert (data.name, data.outputs) == ("cache", 1)
    assert samples.ids == ("4.mp4", "5.mp4")
    assert samples.groups == ("p4", "p5")
    assert samples.windows.labels.tolist() == [2.0, 2.5]
    assert list(samples.windows.rows) == ["voice", "text"]
    whole = features(31, 5)
    assert np.array_equal(samples.windows.rows["voice"][1], whole.rows["voice"][-10:])
    assert np.array_equal(samples.windows.valid[1], (whole.gaps[-10:] == 0).T[1:])
    short = data.load("train")
    assert not short.windows.valid[0, :, :4].any()
    assert not short.windows.rows["text"][0, :4].any()
    assert np.array_equal(short.windows.valid[0, :, 4:], (features(6, 0).gaps == 0).T[1:])


def test_a_row_that_is_no_number_is_not_valid(cache: Path) -> None:
    rows = np.load(cache / "voice.npy", mmap_mode="r+")
    clean = Extracted(cache, steps=4).load("train").windows
    rows[5, 3] = np.nan  # the last step of the first clip
    rows.flush()
    spoilt = Extracted(cache, steps=4).load("train").windows
    assert clean.valid[0, 1, 3]
    assert not spoilt.valid[0, 1, 3]
    assert not spoilt.rows["voice"][0, 3].any()


def test_words_are_erased_before_bert(cache: Path) -> None:
    """The same words at a higher rate and more; a word that stays has another context."""
    data = Extracted(cache)
    whole = data.load("test")
    none, half, more = (data.without_words("test", rate, 1) for rate in (0.0, 0.5, 0.8))
    words = [features(6 + 5 * i, i).words for i in (4, 5)]
    expected = TextEncoder(SPEC.text, adapter=RECOGNIZER.adapter).rows(
        words[1], 15 * SPEC.step_ns, SPEC.step_ns, 16
    )
    one = [Labelled("a.mp4", "test", 0.5, "anna")]
    stranger = filled(cache.with_name("stranger"), one, sha256="1" * 64)
    with pytest.raises(UserError, match="only with the recognizer that extracted it"):
        Extracted(stranger).without_words("test", 0.5, 1)
    assert none.windows.valid[1, 2].tolist() == [row is not None for row in expected]
    assert np.allclose(none.windows.rows["text"][1, 15 - 14], expected[1], atol=1e-5)
    assert (more.windows.valid[:, 2] <= half.windows.valid[:, 2]).all()
    assert more.windows.valid[:, 2].sum() < half.windows.valid[:, 2].sum()
    assert half.windows.valid[:, 2].sum() < none.windows.valid[:, 2].sum()
    stays = half.windows.valid[:, 2]
    assert not np.allclose(half.windows.rows["text"][stays], none.windows.rows["text"][stays])
    for erased in (none, half):
        assert np.array_equal(erased.windows.valid[:, :2], whole.windows.valid[:, :2])
        assert np.array_equal(erased.windows.rows["voice"], whole.windows.rows["voice"])
    assert not data.without_words("test", 1.0, 1).windows.valid[:, 2].any()


def test_a_cache_can_be_trained_on_and_evaluated(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Path(__file__).parents[1] / "configs/experiments/own_clips.toml"
    argv = ["--config", str(config), "--out", str(tmp_path / "run")]
    for key, value in {
        "data": cache,
        "system.learning.epochs": 1,
        "system.learning.batch": 2,
    }.items():
        argv += [f"--{key}", str(value)]
    assert train.run(argv) == 0
    assert "live" not in capsys.readouterr().out  # it tells a number
    assert evaluate.run([str(tmp_path / "run"), "--split", "test", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["dataset"], report["n"]) == ("cache", 2)
    assert report["confusion"] is None
    assert report["chance"]["answer"] == 2.25


# A few clips of one's own

OWN = ("bored", "keen", "puzzled", "sad")


def telling(out: Path, strength: float, labels: Sequence[str] = OWN) -> Path:
    """A cache of 24 clips of each of three people, a split each, whose rows tell the label."""
    random = np.random.default_rng(5)
    towards = {m: random.normal(size=(len(labels), dim)) for m, dim in SPEC.dims.items()}
    found = [
        Labelled(f"{split}-{i:02}.mp4", split, labels[i % len(labels)], split)
        for split in ("train", "valid", "test")
        for i in range(24)
    ]
    with growing(out) as cache:
        for i, clip in enumerate(found):
            plain = features(20, i)
            there = plain.gaps == 0
            told = {
                m: (x + strength * towards[m][labels.index(str(clip.label))] * there[:, [n]])
                for n, (m, x) in enumerate(plain.rows.items())
            }
            rows = {m: x.astype(np.float32) for m, x in told.items()}
            cache.add(clip.id, Version(1, 1), ClipFeatures(rows, plain.gaps, plain.words))
        cache.finish(tuple(found), tuple(sorted(labels)), {})
    return out


def own_run(cache: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Train as the README says; what was said."""
    config = Path(__file__).parents[1] / "configs/experiments/own_clips.toml"
    path = ["--data", str(cache)]
    assert train.run(["--config", str(config), *path, "--out", str(out)]) == 0
    return capsys.readouterr().out


def test_a_few_clips_are_learned_by_what_the_readme_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """24 clips are one update an epoch."""
    said = own_run(telling(tmp_path / "cache", 0.3), tmp_path / "run", capsys)
    assert "Not shown" not in said
    assert f"or:   normtr live --checkpoint {tmp_path / 'run'}" in said
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 100
    assert evaluate.run([str(tmp_path / "run"), "--rates", "0", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["metrics"]["accuracy"][0] >= 0.7
    assert report["chance"]["beaten"]
    assert report["auilc"] == {}
    confusion = report["confusion"]
    assert confusion["labels"] == list(OWN)
    counts = np.array(confusion["counts"])
    assert counts.sum(1).tolist() == [6] * 4
    assert counts.trace() == round(24 * report["metrics"]["accuracy"][0])
    assert evaluate.run([str(tmp_path / "run"), "--rates", "0"]) == 0
    table = capsys.readouterr().out
    assert "chance: bored" in table
    assert "AUILC" not in table
    assert "what was said (columns)" in table
    assert "Not shown" not in table


def test_what_is_no_better_than_chance_is_said_to_be_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = own_run(telling(tmp_path / "cache", 0.0), tmp_path / "run", capsys)
    sentence = "Not shown to be better than chance: 24 samples do not tell it from answering always"
    assert sentence in said
    assert evaluate.run([str(tmp_path / "run")]) == 0
    assert sentence in " ".join(capsys.readouterr().out.split())
    assert evaluate.run([str(tmp_path / "run"), "--json"]) == 0
    chance = json.loads(capsys.readouterr().out)["chance"]
    assert not chance["beaten"]
    assert chance["verdict"].startswith(sentence)


def test_a_network_begins_as_the_recognizers(tmp_path: Path) -> None:
    """Labels of the same names are known before anything is learned; others are told apart from
    nothing."""
    names = ("sad", "angry", "keen")
    data = Extracted(telling(tmp_path / "cache", 0.0, names))
    system = NormTrSystem(network=Architecture(width=128, masked=True), start="recognizer")
    windows = data.load("test").windows
    network: Any = system.model(windows, 3).network
    take_over(network, data)
    with torch.inference_mode():
        mine = network(windows.rows, windows.valid)
        known = RECOGNIZER.norm_tr.module()(windows.rows, windows.valid)
    known = known - known.mean(1, keepdim=True)
    assert data.classes == ("angry", "keen", "sad")
    for place, name in ((0, "angry"), (2, "sad")):
        expected = known[:, RECOGNIZER.labels.index(name)]
        assert torch.allclose(mine[:, place], expected, atol=1e-4)
    assert not mine[:, 1].any()
    other: Any = replace(system, network=Architecture()).model(windows, 3).network
    with pytest.raises(UserError, match="has other sizes"):
        take_over(other, data)
    with pytest.raises(UserError, match="has no recognizer's rows"):
        take_over(network, MosiWords())
    stranger = filled(
        tmp_path / "stranger", [Labelled("a", "test", "sad", "anna")], sha256="1" * 64
    )
    with pytest.raises(UserError, match="of other weights"):
        take_over(network, Extracted(stranger))


def contradicted(out: Path) -> Path:
    """A cache of which the recognizer knows the labels of `valid`, and `train` says others."""
    clip = [Labelled(f"{s}-{i:02}.mp4", s, "sad", s) for s in ("train", "valid") for i in range(24)]
    blank = filled(out.with_name("blank"), clip)
    network = RECOGNIZER.norm_tr.module()
    found = []
    for split in ("train", "valid"):
        windows = Extracted(blank).load(split).windows
        with torch.inference_mode():
            said = network(windows.rows, windows.valid).argmax(1).tolist()
        mine = [c for c in clip if c.split == split]
        for c, label in zip(mine, said, strict=True):
            found.append(replace(c, label=LABELS[(label + (split == "train")) % len(LABELS)]))
    return filled(out, found)


def test_what_is_worse_than_the_recognizer_on_other_people_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, out = contradicted(tmp_path / "cache"), tmp_path / "run"
    config = Path(__file__).parents[1] / "configs/experiments/own_clips.toml"
    argv = ["train", "--config", str(config), "--data", str(cache), "--out", str(out)]
    assert cli.run(argv) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "on the validation people, with gaps, the recognizer as it is gets 0.7" in said
    assert "the run gets no model" in said
    assert not (out / "metrics.json").exists()
    assert cli.run([*argv, "--force", "--system.learning.lr", "1e-9"]) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["valid"]["metrics"]["accuracy"][0] == 1.0


def test_fewer_clips_than_a_batch_are_a_batch(tmp_path: Path) -> None:
    found = [
        Labelled(f"{split}-{i}.mp4", split, OWN[i % 2], split)
        for split in ("train", "valid")
        for i in range(5)
    ]
    small = Architecture(width=16, depth=1)
    learning = Learning(d1="none", d2="none", epochs=2)
    system = NormTrSystem(network=small, learning=learning)
    data = Extracted(filled(tmp_path / "cache", found))
    system.train(data, tmp_path / "run", 1, progress=False)
    assert torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["global_step"] == 2


def test_what_a_cache_was_extracted_without_is_never_there(media: Path, fake: None) -> None:
    assert extract.run(arguments(media, "--text", "off")) == 0
    windows = Extracted(media.parent / "cache").load("train").windows
    assert list(windows.rows) == list(MODALITIES)
    assert not windows.valid[:, 2].any()
    assert not windows.rows["text"].any()
    assert windows.valid[:, :2].any()


def test_labels_that_do_not_fit_are_named_beside_the_nearest(tmp_path: Path) -> None:
    names = ("anger", "joy", "sad", "surprised")
    theirs = telling(tmp_path / "theirs", 0.0, names)
    weights = str(SHIPPED)
    said = (
        r"does not know: anger \(nearest: angry\), joy \(nearest: none\), surprised \(nearest: "
        r"surprise\)\. Known are angry, .*; rename them in the table and run `normtr extract` again"
    )
    with pytest.raises(UserError, match=said):
        evaluate.run([weights, "--data", str(theirs), "--json"])
    numbers = filled(tmp_path / "numbers", [Labelled("a", "test", 0.5, "anna")])
    with pytest.raises(UserError, match=r"are numbers, and .* tells classes"):
        evaluate.run([weights, "--data", str(numbers), "--json"])
    own = Extracted(telling(tmp_path / "own", 0.0))
    with pytest.raises(UserError, match=r"keener \(nearest: keen\)"):
        own.at(telling(tmp_path / "keener", 0.0, ("keener", "sad")))
    with pytest.raises(UserError, match="one has numbers"):
        own.at(numbers)
    fewer = own.at(telling(tmp_path / "fewer", 0.0, ("keen", "sad")))
    assert fewer.outputs == 4
    assert set(fewer.load("test").windows.labels.tolist()) == {1, 3}


def test_passages_end_at_pauses_and_at_their_bound() -> None:
    second = 16_000
    speech = [(0, 4), (4.2, 9), (10, 11), (11.3, 22), (22.2, 24)]
    stretches = [(round(a * second), round(b * second)) for a, b in speech]
    found = [(a / second, b / second) for a, b in passages(stretches)]
    assert found == [(0, 9), (10, 22), (22.2, 24)]


def test_the_shipped_recognizer_is_evaluated_on_a_cache_of_its_own(
    media: Path, fake: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract.run(arguments(media)) == 0
    capsys.readouterr()
    cache, weights = media.parent / "cache", Path(__file__).parents[1] / "normtr/weights"
    argv = [str(weights), "--data", str(cache), "--rates", "0,1", "--json"]
    assert evaluate.run([*argv, "--split", "train"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["n"], report["split"]) == (2, "train")
    recognizer = checkpoint.load(weights)
    assert report["checkpoint_sha256"] == recognizer.sha256
    windows = Extracted(cache).load("train").windows
    for i, there in enumerate((windows.valid, torch.zeros_like(windows.valid))):
        with torch.inference_mode():
            given = recognizer.norm_tr.module()(windows.rows, there).argmax(1).tolist()
        right = [recognizer.labels[k] for k in given]
        assert report["metrics"]["accuracy"][i] == np.mean([right[0] == "happy", right[1] == "sad"])
    with pytest.raises(UserError, match="name a cache"):
        evaluate.run([str(weights), "--json"])
    clip = Labelled("a.mp4", "test", 0.5, "anna")
    with pytest.raises(UserError, match="extracted with another recognizer"):
        evaluate.run(
            [
                str(weights),
                "--data",
                str(filled(tmp_path / "other", [clip], sha256="0" * 64)),
                "--json",
            ]
        )
