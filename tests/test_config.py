"""A config comes from TOML and dotted options, or is refused with one sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normtr.config import parse
from normtr.errors import UsageError


@dataclass(frozen=True)
class Costs:
    """What a stage costs."""

    depth: int = 2
    rate: float = 0.5
    wide: bool = False


@dataclass(frozen=True)
class Demo:
    """A verb of the tests."""

    name: str = "x"
    seconds: float | None = None
    fast: bool = False
    device: Literal["auto", "cpu"] = "auto"
    off: tuple[str, ...] = ()
    source: str | tuple[str, ...] | None = None
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True)
class Needs:
    """Needs a place."""

    place: Path
    times: int = 1


def refusal(*argv: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(Demo, argv, "demo")
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    assert caught.value.status == 2
    return sentence


def toml(folder: Path, text: str) -> str:
    path = folder / "demo.toml"
    path.write_text(text)
    return str(path)


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")))


# A word --config names a file wherever it stands.
@given(st.lists(TEXTS.filter(lambda t: not t.startswith("--config")), min_size=2, max_size=4))
def test_what_may_be_several_takes_an_option_for_each(values: list[str]) -> None:
    argv = [f"--source={value}" for value in values]
    argv[1:2] = ["--seconds", "3", "--source", values[1]]
    found = parse(Demo, argv, "demo")
    assert found.source == tuple(values)
    assert found.seconds == 3


def test_one_is_no_list_and_the_command_line_stands_before_the_file(tmp_path: Path) -> None:
    file = toml(tmp_path, 'source = ["a", "b"]\n')
    assert parse(Demo, ["--config", file], "demo").source == ("a", "b")
    assert parse(Demo, ["--config", file, "--source", "[x].mp4"], "demo").source == "[x].mp4"


def test_without_arguments_everything_has_its_default() -> None:
    assert parse(Demo, [], "demo") == Demo()


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ("--name live", Demo(name="live")),
        ("--name=--odd", Demo(name="--odd")),
        ("--seconds 5", Demo(seconds=5.0)),
        ("--seconds null", Demo()),
        ("--costs.depth 3", Demo(costs=Costs(depth=3))),
        ("--costs.rate 3", Demo(costs=Costs(rate=3.0))),
        ("--fast", Demo(fast=True)),
        ("--fast --name a", Demo(name="a", fast=True)),
        ("--fast false", Demo()),
        ("--costs.wide --fast", Demo(fast=True, costs=Costs(wide=True))),
        ('--off ["face","text"]', Demo(off=("face", "text"))),
    ],
)
def test_any_field_is_set_by_its_dotted_name(argv: str, expected: Demo) -> None:
    assert parse(Demo, argv.split(), "demo") == expected


def test_a_file_fills_fields_and_later_options_override_it(tmp_path: Path) -> None:
    path = toml(tmp_path, 'name = "filed"\n[costs]\ndepth = 5\nwide = true\n')
    filed = Demo(name="filed", costs=Costs(depth=5, wide=True))
    assert parse(Demo, ["--config", path], "demo") == filed
    assert parse(Demo, [f"--config={path}"], "demo") == filed
    overridden = parse(Demo, ["--config", path, "--costs.depth", "6"], "demo")
    assert overridden == Demo(name="filed", costs=Costs(depth=6, wide=True))


@pytest.mark.parametrize(
    ("option", "key", "near"),
    [
        ("--nme", "nme", "name"),
        ("--costs.dept", "costs.dept", "costs.depth"),
        ("--fas", "fas", "fast"),
        ("--sec", "sec", "seconds"),
    ],
)
def test_an_unknown_or_shortened_option_names_the_nearest_known_one(
    option: str, key: str, near: str
) -> None:
    assert refusal(option, "4") == f"unknown key {key!r}; did you mean {near!r}?"


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ('nme = "a"', "nme", "name"),
        ("[costs]\ndept = 5", "costs.dept", "costs.depth"),
        ("[cost]\ndepth = 5", "cost.depth", "costs.depth"),
    ],
)
def test_an_unknown_key_in_a_file_names_the_nearest_known_one(
    tmp_path: Path, text: str, key: str, near: str
) -> None:
    found = refusal("--config", toml(tmp_path, text))
    assert found == f"unknown key {key!r}; did you mean {near!r}?"


class Part(Protocol):
    """What a config names by its class."""

    def work(self) -> None: ...


@dataclass(frozen=True)
class Network:
    """What a part may be made of."""

    dropout: float = 0.1
    width: int = 8


@dataclass(frozen=True)
class Data:
    """Where a part's samples lie."""

    folder: str = "data"

    def work(self) -> None: ...


@dataclass(frozen=True)
class Learner:
    """A part of a part."""

    data: Part = field(default_factory=Data)
    network: Network = field(default_factory=Network)

    def work(self) -> None: ...


@dataclass(frozen=True)
class Trained:
    """A verb that takes a class."""

    part: Part
    seed: int = 1


LEARNER = f'[part]\nclass_path = "{__name__}.Learner"\n'
DATA = f'[part.init_args.data]\nclass_path = "{__name__}.Data"\n'


def refusal_of_part(*argv: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(Trained, argv, "demo")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("[part.init_args.network]\ndroput = 0.2", "part.network.droput", "part.network.dropout"),
        ("[part.init_args.netwrk]\ndropout = 0.2", "part.netwrk.dropout", "part.network.dropout"),
        ("[part.init_args]\nnetwrk = 1", "part.netwrk", "part.network"),
        (
            DATA + '[part.init_args.data.init_args]\nfodler = "x"',
            "part.data.fodler",
            "part.data.folder",
        ),
    ],
)
def test_an_unknown_key_of_a_class_names_the_nearest_whole_one(
    tmp_path: Path, text: str, key: str, near: str
) -> None:
    found = refusal_of_part("--config", toml(tmp_path, LEARNER + text))
    assert found == f"unknown key {key!r}; did you mean {near!r}?"


@pytest.mark.parametrize(
    ("option", "key", "near"),
    [
        ("--part.init_args.network.droput", "part.network.droput", "part.network.dropout"),
        ("--part.network.droput", "part.network.droput", "part.network.dropout"),
        ("--part.data.fodler", "part.data.fodler", "part.data.folder"),
        ("--prat.network.dropout", "prat.network.dropout", "part.network.dropout"),
        ("--sede", "sede", "seed"),
    ],
)
def test_an_unknown_option_of_a_class_names_the_nearest_whole_one(
    tmp_path: Path, option: str, key: str, near: str
) -> None:
    found = refusal_of_part("--config", toml(tmp_path, LEARNER + DATA), option, "0.2")
    assert found == f"unknown key {key!r}; did you mean {near!r}?"


def test_a_part_without_its_class_is_asked_for_it(tmp_path: Path) -> None:
    found = refusal_of_part("--config", toml(tmp_path, "[part]\nnetwork = 1"))
    assert found == "'part' needs a class_path, which says what class it is."


def test_a_key_like_no_other_points_to_the_help() -> None:
    assert refusal("--zzzzqq") == "unknown key 'zzzzqq'; `normtr demo --help` lists them."
    assert "unexpected argument 'stray'" in refusal("stray")
    assert "unexpected argument 'maybe'" in refusal("--fast", "maybe")


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ("--costs.depth x", "'costs.depth' must be a whole number, not x."),
        ("--costs.depth 2.5", "'costs.depth' must be a whole number, not 2.5."),
        ("--seconds abc", "'seconds' must be a number, not abc."),
        ("--fast=maybe", "'fast' must be true or false, not maybe."),
        ("--device gpu", "'device' must be auto or cpu, not gpu."),
        ("--off face", "'off' must be a list, not face."),
        ("--name", "--name needs a value."),
        ("--costs.depth --fast", "--costs.depth needs a value."),
        ("--config", "--config needs a file."),
        ("--config --fast", "--config needs a file."),
        ("--config missing.toml", "there is no config file 'missing.toml'."),
        ("--config=missing.toml", "there is no config file 'missing.toml'."),
    ],
)
def test_a_wrong_value_is_named_with_what_it_should_be(argv: str, sentence: str) -> None:
    assert refusal(*argv.split()) == sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 5", "'name' must be a text, not 5."),
        ('[costs]\ndepth = "x"', "'costs.depth' must be a whole number, not x."),
        ("[name]\nx = 1", "'name' must be a text"),
        ("costs = 3", "is a section [costs], not 3."),
        ("name = [broken", "demo.toml cannot be read: "),
        ("\x00", "demo.toml cannot be read: "),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal("--config", toml(tmp_path, text))


def test_a_folder_is_no_config_file(tmp_path: Path) -> None:
    assert "there is no config file" in refusal("--config", str(tmp_path))


def test_a_field_without_default_is_needed_and_can_be_positional() -> None:
    with pytest.raises(UsageError, match=r"^--place is needed\.$"):
        parse(Needs, [], "demo")
    with pytest.raises(UsageError, match=r"^place is needed\.$"):
        parse(Needs, ["--times", "2"], "demo", ["place"])
    assert parse(Needs, ["--place", "a b"], "demo") == Needs(Path("a b"))


@dataclass(frozen=True)
class Several:
    """Takes some names."""

    names: list[str]
    times: int = 1


def test_a_positional_list_takes_one_or_more_words() -> None:
    assert parse(Several, ["a", "b", "--times", "2"], "demo", ["names"]) == Several(["a", "b"], 2)
    assert parse(Several, ["a"], "demo", ["names"]) == Several(["a"])
    with pytest.raises(UsageError, match=r"^names is needed\.$"):
        parse(Several, [], "demo", ["names"])


def test_help_ends_with_status_0_and_lists_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(Demo, ["--help"], "demo")
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert "usage: normtr demo" in printed
    assert all(name in printed for name in ("--name", "--seconds", "--costs.depth", "--config"))


def shown(kind: type[object], capsys: pytest.CaptureFixture[str], *positional: str) -> list[str]:
    """The lines of --help, without what is said of each option."""
    with pytest.raises(SystemExit):
        parse(kind, ["--help"], "demo", positional)
    return [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_help_shows_words_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(Demo, capsys)
    assert lines[0] == "usage: normtr demo [options]"
    for option in (
        *("--config FILE", "--name TEXT", "--seconds NUMBER", "--fast [true|false]"),
        *("--device auto|cpu", "--off [TEXT, ...]", "--source TEXT", "--costs.depth N"),
    ):
        assert any(line.startswith(option) for line in lines), option
    assert shown(Needs, capsys)[0] == "usage: normtr demo --place PATH [options]"
    assert shown(Several, capsys, "names")[0] == "usage: normtr demo names... [options]"
    assert any(line.startswith("--part CLASS") for line in shown(Trained, capsys))
