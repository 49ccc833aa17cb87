"""The documentation builds, its links lead somewhere, and the files that it names exist."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from normtr.cause import GAPS
from stream import wire
from tests.support import components

ROOT = Path(__file__).parents[1]
TEXTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("normtr/weights/*.md")]
GENERATED = ("wire-reference.md", "pictures/rooms.svg")
"""Files in docs that exist only once the pages are built."""
TOP = ("configs", "docs", "examples", "normtr", "stream", "tests", "tools", "training")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {text.strip().replace(" ", "-") for text in plain}


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    wrong = []
    for link in links:
        parts = urlsplit(link)
        if parts.scheme or link.endswith(GENERATED):
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not target.exists() or (parts.fragment and parts.fragment not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def named_files(text: str) -> Iterator[str]:
    """Paths in code font that begin with one of our folders; with `*` and capitals left out."""
    for word in re.findall(r"`([\w./-]+)`", text):
        if word.split("/")[0] in TOP and "/" in word:
            yield word


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    wrong = [name for name in named_files(page.read_text()) if not (ROOT / name).exists()]
    assert wrong == []


def test_every_row_of_where_to_change_names_one_file() -> None:
    page = (ROOT / "docs" / "where-to-change.md").read_text()
    rows = [line for line in page.splitlines() if re.match(r"\| [^-|]", line)]
    rows = [row for row in rows if row != "| what | file |"]
    assert len(rows) >= 50
    for row in rows:
        (name,) = re.findall(r"\| `([^`]+)` \|$", row)
        assert (ROOT / name).is_file(), row


def test_every_cause_of_a_gap_is_explained_in_the_order_of_rank() -> None:
    page = (ROOT / "docs" / "live.md").read_text().split("| cause | meaning |")[1]
    named = re.findall(r"^\| `(\w+)` \|", page, re.M)
    assert named[: len(GAPS)] == list(GAPS)


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    assert len(text.split()) <= 900


class Sources(HTMLParser):
    """What a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag in ("script", "img", "iframe"):
            self.loaded.append(names.get("src") or "")
        elif tag == "link" and names.get("rel") in ("stylesheet", "preconnect", "icon"):
            self.loaded.append(names.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, built from the checkout."""
    if importlib.util.find_spec("mkdocs") is None:
        components.missing("mkdocs is not installed; run pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_the_pages_are_built_without_a_warning(site: Path) -> None:
    assert (site / "index.html").is_file()


def test_the_wire_reference_has_every_key_of_every_topic(site: Path) -> None:
    page = (site / "wire-reference.html").read_text()
    for topic in wire.TOPICS:
        assert f"{topic}</h2>" in re.sub(r"<a.*?</a>", "", page)
        for key in wire.schema(topic)["properties"]:
            assert f"<code>{key}</code>" in page


def test_the_picture_of_the_rooms_shows_every_folder(site: Path) -> None:
    picture = (site / "pictures" / "rooms.svg").read_text()
    for package in ("stream", "training"):
        for init in (ROOT / package).glob("*/__init__.py"):
            assert f">{package}.{init.parent.name}</text>" in picture


def test_a_page_loads_nothing_from_other_hosts(site: Path) -> None:
    for page in site.rglob("*.html"):
        sources = Sources()
        sources.feed(page.read_text())
        assert [link for link in sources.loaded if urlsplit(link).netloc] == [], page
