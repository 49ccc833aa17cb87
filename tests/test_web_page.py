"""The overlay's page in a real browser: what it shows, when it is grey, and whom it does not serve."""

from __future__ import annotations

import functools
import http.server
import io
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.image
import pytest

from normtr.cause import GAPS
from normtr.spec import LABELS
from stream.views.labels_and_colours import NOTHING, look
from tests.support import components
from tests.support.page_server import SECRET, Feed, PageServer
from tests.support.ports import free_port

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
GREY_S = 3.0
"""Promised are 1.5 s; the rest is for a busy machine."""
READY_MS = 10_000
"""For a busy machine; what is waited for comes sooner."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        components.missing("playwright is not installed")
    if not CHROMIUM.is_file():
        components.missing(f"{CHROMIUM} is not installed")
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield one
        one.close()


@pytest.fixture(scope="module")
def address() -> str:
    return free_port()


@pytest.fixture(scope="module")
def server(
    browser: Browser, address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PageServer]:
    one = PageServer(address, tmp_path_factory.mktemp("home"))
    yield one
    one.end()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    size: Any = {"width": 400, "height": 520}
    context = browser.new_context(viewport=size, color_scheme="light", reduced_motion="reduce")
    yield context.new_page()
    context.close()


def fresh(page: Page) -> None:
    page.wait_for_selector("body:not(.stale)", timeout=READY_MS)


def grey(page: Page) -> None:
    begin_s = time.monotonic()
    page.wait_for_selector("body.stale", timeout=READY_MS)
    assert time.monotonic() - begin_s < GREY_S


def gaps(cause: str, modality: str) -> dict[str, list[str]]:
    every = {"face": ["none"] * 16, "voice": ["none"] * 16, "text": ["none"] * 16}
    return {**every, modality: [cause] * 16}


def style(page: Page, selector: str, name: str) -> str:
    found: str = page.locator(selector).evaluate(f"node => getComputedStyle(node).{name}")
    return found


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"


def alpha(page: Page) -> Any:
    """Opacity of each pixel [height, width], 0..1."""
    return matplotlib.image.imread(io.BytesIO(page.screenshot(omit_background=True)))[:, :, 3]


def test_a_minute_with_every_cause_is_shown(page: Page, server: PageServer, address: str) -> None:
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    with Feed(address, "a" * 16) as feed:
        page.goto(server.url)
        assert feed.all_told.wait(READY_MS / 1000)
        fresh(page)
        page.wait_for_timeout(500)  # what was sent last is drawn
        page.locator("#badge.on", has_text="camera and microphone in use").wait_for()
        page.locator("#legend li").nth(len(GAPS) - 1).wait_for(timeout=READY_MS)
        legend = page.locator("#legend li > span").all_inner_texts()
        assert sorted(legend) == sorted(look(cause).text for cause in GAPS)
        painted = page.evaluate(  # in one go: the runs are drawn anew four times a second
            """() => Array.from(document.querySelectorAll(".strip > div"), run =>
                [run.className, getComputedStyle(run).backgroundColor])"""
        )
        assert {cause: rgb(look(cause).colour) for cause in GAPS}.items() <= dict(painted).items()
        headline = page.locator("#headline").inner_text()
        assert headline in LABELS
        assert page.get_by_role("meter").count() == len(LABELS)
        assert page.locator("#confidence").inner_text() == "70 %"
        assert float(style(page, "#head", "opacity")) == pytest.approx(0.45 + 0.55 * 0.7, abs=0.01)
        assert SECRET not in page.content()
        see_through = alpha(page)
        assert see_through[0].max() == see_through[-1].max() == 0
        assert 0.8 < see_through[30, 200] < 1
    assert not said
    assert {re.sub(r"(?<=:\d{5}).*", "", url) for url in asked} == {f"http://{server.host}"}


def test_words_say_why_a_light_is_off(page: Page, server: PageServer, address: str) -> None:
    page.goto(server.url)
    for session, cause, modality, name, why in (
        ("b" * 16, "muted", "voice", "voice", "microphone muted"),
        ("c" * 16, "no_face", "face", "face", "no face"),
        ("d" * 16, "no_device", "face", "face", "no camera"),
        ("n" * 16, "no_track", "voice", "voice", "no sound in the clip"),
        ("e" * 16, "no_words", "text", "words", "no words"),
    ):
        with Feed(address, session, gaps=gaps(cause, modality)):
            page.locator("#lights li:not(.on)", has_text=why).wait_for(timeout=READY_MS)
            assert page.locator("#lights li.on").count() == 2  # drawn at once with the third
            row = page.get_by_role("listitem").filter(has_text=name).first
            assert row.inner_text().split("\n") == [name, why]
            page.get_by_role("img", name=f"{name} missing: {why}").wait_for(timeout=READY_MS)


def test_abstaining_replays_and_clips_are_named(
    page: Page, server: PageServer, address: str
) -> None:
    page.goto(server.url + "?badge=off&theme=dark")
    with Feed(address, "f" * 16, abstained=True):
        page.locator("#headline", has_text=NOTHING).wait_for(timeout=READY_MS)
        assert page.locator("#confidence").inner_text() == ""
        page.locator("#badge.on", has_text="in use").wait_for(timeout=READY_MS)
    with Feed(address, "g" * 16, replay=True):
        page.locator("#badge:not(.on)", has_text="replay").wait_for(timeout=READY_MS)
    with Feed(address, "h" * 16, info={"captures": False}):
        page.locator("#badge:not(.on)", has_text="playing").wait_for(timeout=READY_MS)
    two = {"captures": False, "source": "a.mp4, b.mp4", "sources": ["a.mp4", "b.mp4"]}
    with Feed(address, "s" * 16, info=two, source="b.mp4"):
        told = "playing b.mp4, one of 2 sources"
        page.get_by_text(told, exact=True).wait_for(timeout=READY_MS)


def test_texts_of_a_publisher_are_texts(page: Page, server: PageServer, address: str) -> None:
    hostile = "<img src=x onerror=document.title='owned'>"
    labels = [hostile, *LABELS[1:]]
    causes = {"face": ["{0.__class__}"], "voice": ["none"], "<b>": ["{"]}
    with Feed(address, "i" * 16, labels=labels, top=hostile, gaps=causes):
        page.goto(server.url)
        page.locator("#headline", has_text=hostile).wait_for(timeout=READY_MS)
        assert page.get_by_role("meter", name=hostile).count() == 1
        page.locator("#lights li", has_text="{0.__class__}").wait_for(timeout=READY_MS)
        page.locator(".row > span", has_text="<b>").wait_for(timeout=READY_MS)
        assert page.locator("img[src], b").count() == 0
        assert page.title() == "normtr"


def test_it_is_grey_when_nothing_comes_and_finds_the_server_again(
    page: Page, browser: Browser, address: str, tmp_path: Path
) -> None:
    first = PageServer(address, tmp_path)
    page.goto(first.url)
    with Feed(address, "j" * 16) as feed:
        fresh(page)
        first.process.send_signal(signal.SIGSTOP)  # the socket stays open, and nothing comes
        grey(page)
        page.locator("#badge.on", has_text="may be in use").wait_for(timeout=READY_MS)
        first.process.send_signal(signal.SIGCONT)
        fresh(page)
        first.process.kill()
        first.process.communicate()
        grey(page)
        assert page.locator("#headline").inner_text() == "no data"
        assert "grayscale(1)" in style(page, "#shown", "filter")
        second = PageServer(address, tmp_path, first.port)
        fresh(page)
        feed.stop()
        grey(page)
        page.locator("#note", has_text=f"nothing arrives from {address}").wait_for(timeout=READY_MS)
    with Feed(address, "k" * 16):
        fresh(page)
    second.end()


@pytest.mark.parametrize(
    ("preferred", "query", "dark"),
    [("light", "", 0), ("dark", "", 1), ("light", "?theme=dark", 1), ("dark", "?theme=light", 0)],
)
def test_themes_and_reduced_motion(
    browser: Browser, server: PageServer, preferred: Any, query: str, dark: int
) -> None:
    context = browser.new_context(color_scheme=preferred, reduced_motion="reduce")
    page = context.new_page()
    page.goto(server.url + query)
    assert page.locator(":root.dark").count() == dark
    red = int(style(page, "main", "color").removeprefix("rgb(").split(",")[0])
    assert (red > 200) == bool(dark)
    assert alpha(page)[-1].max() == 0
    assert style(page, "#shown", "transitionDuration") == "0s"
    context.close()


def test_another_page_of_the_browser_gets_nothing(
    page: Page, server: PageServer, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("<title>other</title>")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{other.server_port}/")
        opened = """url => new Promise(done => {
            const socket = new WebSocket(url);
            socket.onmessage = socket.onopen = () => done("open");
            socket.onerror = () => done("refused");
        })"""
        url = server.url + "socket"
        assert page.evaluate(opened, url.replace("http", "ws")) == "refused"
        fetched = "url => fetch(url).then(() => 'read', () => 'refused')"
        assert page.evaluate(fetched, server.url) == "refused"
        framed = """url => new Promise(done => {
            const frame = document.createElement("iframe");
            frame.src = url;
            frame.onload = () => done(frame.contentDocument ? "own" : "blocked");
            document.body.append(frame);
        })"""
        assert page.evaluate(framed, server.url) == "blocked"
        assert "Recognizer" not in page.frames[-1].content()
        other.shutdown()
    page.goto(server.url)
    assert page.evaluate(opened, url.replace("http", "ws")) == "open"
