"""The overlay as a user meets it: a real window on a virtual screen, with mouse and keyboard."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import msgpack
import numpy as np
import psutil
import pytest
import zmq
from numpy.typing import NDArray

from normtr.cause import GAPS, Cause
from normtr.errors import UsageError, UserError
from stream.client import subscribe
from stream.client.control_client import beside
from stream.client.received import Affect
from stream.commands import keys, live, overlay
from stream.overlay import qt_libraries
from stream.publish import recording
from stream.publish.control import ControlServer
from stream.publish.publisher import Publisher
from stream.session.session import DEMO
from stream.views.labels_and_colours import CAUSE_LOOKS
from stream.wire import AFFECT, Message
from tests.support import overlay_session as session
from tests.support.desktop import SIZE, Desktop, desktop, needed, until
from tests.support.ports import free_port
from tools.make_overlay_picture import PICTURE, picture_of, seen

pytestmark = pytest.mark.slow

HERE = {modality: ["none"] * 16 for modality in ("face", "voice", "text")}
RED = (255, 92, 92)
"""The dot of the badge, on dark."""
RECEIVER = """
import sys
from PySide6.QtWidgets import QApplication, QWidget
class Below(QWidget):
    def mousePressEvent(self, event):
        print("clicked", flush=True)
application = QApplication([])
below = Below()
below.setWindowTitle("below")
below.setStyleSheet("background: #00a0a0")
below.showMaximized()
application.exec()
"""


@pytest.fixture(scope="module")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    needed()
    with desktop(tmp_path_factory.mktemp("desktop")) as one:
        yield one


@pytest.fixture
def place(screen: Desktop, tmp_path: Path) -> Iterator[Desktop]:
    """The same screen for a user who has seen the first run, and nothing left of others."""
    screen.home = tmp_path
    welcomed(tmp_path)
    screen.xdotool("mousemove", 5, 690)
    before = len(screen.running)
    yield screen
    for process in screen.running[before:]:
        process.kill()
        process.wait()
    del screen.running[before:]


@pytest.fixture
def wire() -> Iterator[tuple[Publisher, str]]:
    address = free_port()
    with closing(Publisher(address)) as publisher:
        yield publisher, address


class WindowAssembler(threading.Thread):
    """Answers at a control port; keeps what it was asked for."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.asked: list[dict[str, str]] = []
        self.address = free_port()
        self._socket = zmq.Context.instance().socket(zmq.REP)
        self._socket.bind(self.address)
        self.start()

    def run(self) -> None:
        while (request := msgpack.unpackb(self._socket.recv())) != {"verb": "end"}:
            self.asked.append(request)
            self._socket.send(msgpack.packb({"ok": True}))
        self._socket.close()


def welcomed(home: Path) -> None:
    (home / "normtr").mkdir()
    (home / "normtr" / "overlay.conf").write_text("[General]\nwelcomed=true\n")


def hear(publisher: Publisher, step: int = 20, **keys: Any) -> None:
    """Until the overlay is connected and has drawn it, this estimate is the newest."""
    for _ in range(2):
        publisher.send(session.info())
        publisher.send(session.affect(step, **{"gaps": HERE, "abstained": False, **keys}))
        time.sleep(0.2)


def connected(screen: Desktop, publisher: Publisher, *options: object) -> Any:
    """The window of an overlay that hears the publisher, and its process."""
    process = screen.overlay(*options)
    window = screen.window()
    until(publisher.info_wanted, "the overlay did not subscribe")
    hear(publisher)
    return window, process


def hue(picture: NDArray[np.uint8]) -> int:
    """How far from grey the most colourful pixel is, but for stray ones."""
    spread = np.ptp(picture.astype(int), axis=2)
    return int(np.sort(spread, axis=None)[-20])


def has(picture: NDArray[np.uint8], colour: str | tuple[int, ...], least: int = 8) -> bool:
    """At least so many pixels of the colour; pixels that are blended with others do not count."""
    wanted = bytes.fromhex(colour[1:]) if isinstance(colour, str) else bytes(colour)
    near = np.abs(picture.astype(int) - np.frombuffer(wanted, np.uint8)).max(axis=2) <= 3
    return int(near.sum()) >= least


def press(screen: Desktop, window: str, *keys: str) -> None:
    screen.xdotool("windowactivate", "--sync", window, "sleep", 0.1, "key", *keys)


def test_a_replayed_minute_with_every_cause_is_drawn_and_then_greys(
    place: Desktop, tmp_path: Path
) -> None:
    recording, address = session.write(tmp_path / "a.jsonl"), free_port()
    place.overlay("--address", address, "--colours", "dark")
    window = place.window()
    player = place.start(
        *(sys.executable, "-m", "normtr", "replay", recording, "--bind", address, "--speed", "15")
    )
    until(lambda: hue(place.shot(window)) > 60, "nothing drawn")
    causes: set[str] = set()
    ended = False
    while not ended:
        ended = player.poll() is not None
        picture = place.shot(window)
        causes |= {c for c, shown in CAUSE_LOOKS.items() if has(picture, shown.colour, 12)} - {
            Cause.NONE
        }
    assert causes == set(GAPS)
    until(lambda: hue(place.shot(window)) < 25, "it did not grey", 3.0)


def test_what_arrives_before_its_window_is_made_is_not_the_last_that_it_hears(
    place: Desktop, wire: tuple[Publisher, str]
) -> None:
    publisher, address = wire
    place.overlay("--address", address, "--colours", "dark")
    end_s = time.monotonic() + 30
    while not place.visible():  # so that the first message comes before anything is drawn
        assert time.monotonic() < end_s
        for _ in range(20):
            publisher.send(session.affect(20, gaps=HERE, abstained=False))
            time.sleep(0.005)
    window = place.window()
    hear(publisher)
    assert hue(place.shot(window)) > 60


def test_it_greys_when_data_stops_and_comes_back(
    place: Desktop, wire: tuple[Publisher, str]
) -> None:
    publisher, address = wire
    window, _ = connected(place, publisher, "--address", address, "--colours", "dark")
    hear(publisher)
    last_s = time.monotonic()
    assert hue(place.shot(window)) > 60
    body = slice(40, None)  # the badge stays red: a person may still be captured
    until(lambda: hue(place.shot(window)[body]) < 25, "it did not grey", 3.0)
    assert time.monotonic() - last_s < 2.5  # 1.5 s, and what a busy machine adds
    assert has(place.shot(window), RED)
    hear(publisher)
    assert hue(place.shot(window)[body]) > 60


def test_the_picture_of_the_readme_is_what_is_drawn(place: Desktop) -> None:
    picture = picture_of(place)
    kept = seen(PICTURE)
    assert picture.shape == kept.shape
    assert np.abs(picture.astype(int) - kept.astype(int)).mean() < 6


def test_more_pixels_show_the_same(place: Desktop, wire: tuple[Publisher, str]) -> None:
    publisher, address = wire
    pictures = []
    for scale in ("1", "1.5"):
        process = place.overlay("--address", address, environment={"QT_SCALE_FACTOR": scale})
        window = place.window()
        until(publisher.info_wanted, "the overlay did not subscribe")
        hear(publisher)
        pictures.append(place.shot(window))
        place.end(process)
    usual, fine = pictures
    height, width, _ = usual.shape
    assert fine.shape == pytest.approx((1.5 * height, 1.5 * width, 3), abs=1)
    small = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - usual.astype(int)).mean() < 8


def test_light_and_dark(place: Desktop, wire: tuple[Publisher, str]) -> None:
    publisher, address = wire
    window, process = connected(place, publisher, "--address", address, "--colours", "light")
    light = place.shot(window).mean()
    press(place, window, "d")
    dark = until(lambda: (m := place.shot(window).mean()) < light - 60 and m, "not dark")
    press(place, window, "ctrl+q")
    assert process.wait(10) == 0
    window, _ = connected(place, publisher, "--address", address)
    assert abs(place.shot(window).mean() - dark) < 15  # remembered


def test_the_first_run_says_what_is_captured_once(place: Desktop, tmp_path: Path) -> None:
    (tmp_path / "normtr" / "overlay.conf").unlink()
    address = free_port()
    process = place.overlay("--address", address)
    press(place, place.window("^normtr overlay$"), "Return")
    until(lambda: not place.visible("^normtr overlay$"), "it stays")
    press(place, place.window(), "ctrl+q")
    assert process.wait(10) == 0
    place.overlay("--address", address)
    window = place.window()
    time.sleep(0.5)
    assert not place.visible("^normtr overlay$")
    press(place, window, "F1")
    place.window("^normtr overlay$")


def test_keys_pause_and_mute_the_recognizer(place: Desktop, wire: tuple[Publisher, str]) -> None:
    (publisher, address), recognizer = wire, WindowAssembler()
    options = ("--address", address, "--control", recognizer.address)
    window, _ = connected(place, publisher, *options)
    press(place, window, "m")
    until(lambda: recognizer.asked, "nothing was asked")
    hear(publisher, gaps={**HERE, "voice": ["muted"] * 16, "text": ["muted"] * 16})
    press(place, window, "m", "c")
    until(lambda: len(recognizer.asked) == 3, "nothing was asked")
    hear(publisher)
    press(place, window, "space")
    until(lambda: len(recognizer.asked) == 4, "nothing was asked")
    hear(publisher, gaps=dict.fromkeys(HERE, ["paused"] * 16))
    press(place, window, "space")
    until(lambda: len(recognizer.asked) == 5, "nothing was asked")
    assert recognizer.asked == [
        {"verb": "mute", "device": "microphone"},
        {"verb": "unmute", "device": "microphone"},
        {"verb": "mute", "device": "camera"},
        {"verb": "pause"},
        {"verb": "resume"},
    ]


def test_a_recognizer_that_does_not_answer_holds_up_nothing(
    place: Desktop, wire: tuple[Publisher, str]
) -> None:
    publisher, address = wire
    options = ("--address", address, "--control", free_port(), "--colours", "dark")
    window, process = connected(place, publisher, *options)
    dark = place.shot(window)
    press(place, window, "space", "d")
    until(lambda: place.shot(window).mean() > dark.mean() + 60, "the window hangs", 1.8)
    note = slice(-30, -8)

    def told() -> bool:
        publisher.send(session.affect(20, gaps=HERE, abstained=False))
        return bool(np.ptp(place.shot(window)[note, 20:-20]) > 100)

    until(told, "nothing is said of it", 6)
    press(place, window, "ctrl+q")
    assert process.wait(10) == 0


def test_the_mouse_drags_and_resizes_it_and_its_place_is_remembered(place: Desktop) -> None:
    address = free_port()
    process = place.overlay("--address", address)
    window = place.window()
    left, top, width, height = place.place(window)
    drag(place, (left + 150, top + 60), (-300, 200))
    wanted = (left - 300, top + 200, width, height)
    until(lambda: near(place.place(window), wanted), "not dragged")
    time.sleep(0.4)  # it may still be on its way
    left, top, _, _ = place.place(window)
    drag(place, (left + width - 3, top + height - 3), (100, 60))
    wanted = (left, top, width + 100, height + 60)
    until(lambda: near(place.place(window), wanted), "not resized")
    time.sleep(0.4)
    _, _, width, height = place.place(window)
    press(place, window, "Left", "Left", "shift+Up")
    wanted = (left - 32, top, width, height - 16)
    until(lambda: place.place(window) == wanted, "the arrow keys do nothing")
    press(place, window, "ctrl+q")
    assert process.wait(10) == 0
    place.overlay("--address", address)
    window = place.window()
    until(lambda: place.place(window) == wanted, "another place")


def drag(screen: Desktop, at: tuple[int, int], by: tuple[int, int]) -> None:
    """Off slowly, as a hand does."""
    screen.xdotool("mousemove", *at, "sleep", 0.2, "mousedown", 1, "sleep", 0.2)
    for part in (0.04, 0.08, 0.5, 1.0):
        to = (round(at[0] + by[0] * part), round(at[1] + by[1] * part))
        screen.xdotool("mousemove", *to, "sleep", 0.15)
    screen.xdotool("mouseup", 1)


def near(place: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """But for what the mouse goes before it counts as dragging."""
    return max(abs(a - b) for a, b in zip(place, wanted, strict=True)) <= 40


MOVED = """
from PySide6.QtCore import QEvent, QPoint, QRect, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import QApplication
from stream.overlay.window import KEY_STEP, SETTLED_MS, OverlayWindow
application = QApplication([])
window = OverlayWindow()
window.put(QGuiApplication.primaryScreen(), QRect(QPoint(100, 100), window.size()))
window.show()
down = Qt.Key.Key_Down, Qt.KeyboardModifier.NoModifier
application.sendEvent(window, QKeyEvent(QEvent.Type.KeyPress, *down))
QTimer.singleShot(2 * SETTLED_MS, application.quit)
application.exec()
print((window.place().top() - 100) / KEY_STEP)
"""


def test_who_moves_it_at_once_has_it_where_it_was_moved() -> None:
    needed()
    moved = subprocess.run(
        [sys.executable, "-c", MOVED],
        capture_output=True,
        text=True,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        timeout=60,
        check=True,
    )
    assert moved.stdout == "1.0\n"


def test_a_place_outside_of_a_smaller_screen_is_brought_inside(tmp_path: Path) -> None:
    needed()
    address = free_port()
    with desktop(tmp_path, (1000, 700)) as large:
        welcomed(large.home)
        process = large.overlay("--address", address)
        window = large.window()
        press(large, window, *["Down"] * 15)
        until(lambda: large.place(window)[1] > 250, "not moved")
        press(large, window, "ctrl+q")
        assert process.wait(10) == 0
    with desktop(tmp_path, (640, 480)) as small:
        small.overlay("--address", address)
        left, top, width, height = small.place(small.window())
    assert left >= 0
    assert top >= 0
    assert left + width <= 640
    assert top + height <= 480


def test_clicked_through_it_lets_the_mouse_to_what_is_below(
    place: Desktop, wire: tuple[Publisher, str]
) -> None:
    publisher, address = wire
    below = place.start(sys.executable, "-c", RECEIVER, stdout=subprocess.PIPE)
    place.window("^below$")
    clicks: list[str] = []
    assert below.stdout is not None
    threading.Thread(target=lambda: clicks.extend(below.stdout or ()), daemon=True).start()
    window, _ = connected(place, publisher, "--address", address, "--colours", "dark")
    left, top, _, _ = place.place(window)
    at = (left + 150, top + 60)
    place.xdotool("mousemove", *at, "click", 1)
    time.sleep(0.3)
    assert clicks == []
    press(place, window, "t")
    time.sleep(0.7)
    place.xdotool("mousemove", *at, "click", 1)
    until(lambda: clicks, "the click did not get through")
    hear(publisher)
    window = place.window()
    assert hue(place.shot(window)) > 60  # still above
    assert place.place(window)[:2] == (left, top)
    place.xdotool("keydown", "ctrl", "sleep", 0.8, "keyup", "ctrl")
    window = place.window()
    clicks.clear()
    time.sleep(0.3)
    place.xdotool("mousemove", *at, "click", 1)
    time.sleep(0.3)
    assert clicks == []


def test_hidden_the_badge_stays_for_as_long_as_somebody_is_captured(
    place: Desktop, wire: tuple[Publisher, str]
) -> None:
    publisher, address = wire
    window, process = connected(place, publisher, "--address", address, "--colours", "dark")
    height = place.place(window)[3]
    press(place, window, "h")
    until(lambda: place.place(window)[3] < 50, "it is not hidden")
    hear(publisher)
    assert has(place.shot(window), RED)
    publisher.send(session.notify(0, "stopping"))
    until(lambda: not place.visible(), "nobody is captured, and it stays")
    hear(publisher)
    window = place.window()
    assert has(place.shot(window), RED)
    press(place, window, "h")
    until(lambda: place.place(window)[3] == height, "it does not come back")
    assert process.poll() is None


def test_the_menu_of_the_right_button(place: Desktop, wire: tuple[Publisher, str]) -> None:
    (publisher, address), recognizer = wire, WindowAssembler()
    options = ("--address", address, "--control", recognizer.address)
    window, process = connected(place, publisher, *options)
    left, top, _, _ = place.place(window)
    place.xdotool("mousemove", left + 40, top + 120, "click", 3, "sleep", 0.4)
    place.xdotool("key", "Down", "Return")
    until(lambda: recognizer.asked == [{"verb": "pause"}], "the menu does nothing")
    place.xdotool("mousemove", left + 40, top + 120, "click", 3, "sleep", 0.4)
    place.xdotool("key", "Up", "Return")
    assert process.wait(10) == 0


def test_the_icon_in_a_tray(place: Desktop, wire: tuple[Publisher, str]) -> None:
    (publisher, address), recognizer = wire, WindowAssembler()
    options = ("--edge", "bottom", "--align", "right", "--widthtype", "request", "--height", 48)
    place.start("trayer", *options, "--SetDockType", "false")
    connected(place, publisher, "--address", address, "--control", recognizer.address)
    width, height = SIZE
    corner = slice(height - 48, None), slice(width - 24, None)
    until(lambda: has(place.picture()[corner], RED), "the icon does not tell that one is captured")
    at = (width - 12, height - 24)
    place.xdotool("mousemove", *at, "click", 1)
    until(lambda: place.place(place.window())[3] < 50, "a click does not hide the window")
    place.xdotool("mousemove", *at, "click", 1)
    until(lambda: place.place(place.window())[3] > 50, "a click does not bring it back")
    hear(publisher)
    place.xdotool("mousemove", *at, "click", 3, "sleep", 0.4, "key", "Down", "Return")
    until(lambda: recognizer.asked == [{"verb": "pause"}], "the menu does nothing")
    publisher.send(session.notify(0, "stopping"))
    until(lambda: not has(place.picture()[corner], RED), "nobody is captured, and it tells so")


def test_a_locked_recognizer_is_shown_with_keys(place: Desktop, tmp_path: Path) -> None:
    folder, own, address = tmp_path / "keys", tmp_path / "desk.secret", free_port()
    assert keys.run(["--folder", str(folder)]) == 0
    assert keys.run(["--folder", str(folder), "--allow", "desk", "--out", str(own)]) == 0
    asked: list[str] = []

    def mute(device: str) -> dict[str, Any]:
        asked.append(device)
        return {}

    options = ("--client-key", own, "--server-key", folder / "server.key", "--colours", "dark")
    with (
        closing(Publisher(address, folder)) as publisher,
        closing(ControlServer(beside(address), folder)) as control,
    ):
        control.serve({"mute": mute})
        window, _ = connected(place, publisher, "--address", address, *options)
        assert hue(place.shot(window)) > 60
        press(place, window, "c")
        until(lambda: asked == ["camera"], "nothing was asked")


def test_hostile_messages_end_nothing(place: Desktop, wire: tuple[Publisher, str]) -> None:
    publisher, address = wire
    window, process = connected(place, publisher, "--address", address, "--colours", "dark")
    nan, many = float("nan"), 5000
    for said in (
        {"probabilities": [nan] * 7, "confidence": nan},
        {"probabilities": [1e300] * 7, "confidence": -1e300},
        {"labels": ["<img src=x>" * 50] * many, "probabilities": [0.5] * many},
        {"top": "\u202e\U0001f600\x00\n" * 100, "confidence": 1.0},
        {"window": {"begin_ns": 0, "end_ns": -(2**60), "step_ns": 1, "steps": 1}},
        {"gaps": {"face": ["what"], "gaze": ["none"] * 10_000}},
        {"gaps": "none"},
    ):
        publisher.send(session.affect(20, **{"gaps": HERE, "abstained": False, **said}))
        time.sleep(0.12)
    publisher.send(session.notify(1, "<b>" * 1000, "x" * 100_000))
    hear(publisher, step=21)
    assert process.poll() is None

    def coloured() -> bool:
        publisher.send(session.affect(21))  # on a busy machine the last one may be too old
        return bool(hue(place.shot(window)) > 60)

    until(coloured, "it stays grey")
    assert "Traceback" not in place.end(process)


def test_what_it_costs_at_four_estimates_a_second(
    place: Desktop, wire: tuple[Publisher, str]
) -> None:
    publisher, address = wire
    _, process = connected(place, publisher, "--address", address)
    for step in range(0, session.STEPS, 4):
        publisher.send(session.affect(step))
        time.sleep(0.03)
    time.sleep(0.5)
    watched = psutil.Process(process.pid)
    before, begin_s = sum(watched.cpu_times()[:2]), time.monotonic()
    for step in range(session.STEPS, session.STEPS + 12):
        publisher.send(session.affect(step))
        time.sleep(0.25)
    share = (sum(watched.cpu_times()[:2]) - before) / (time.monotonic() - begin_s)
    memory_mib = watched.memory_info().rss / 2**20
    print(f"processor {share:.1%} of a core, memory {memory_mib:.0f} MiB")
    assert share < 0.1  # 5 % on a machine that does nothing else
    assert memory_mib < 150


def test_ctrl_c_and_the_end_of_standard_input_end_it(place: Desktop) -> None:
    address = free_port()
    process = place.overlay("--address", address)
    place.window()
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    process = place.overlay("--address", address, "--while-read", stdin=subprocess.PIPE)
    place.window()
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0


def test_live_starts_it_and_outlives_it(place: Desktop) -> None:
    address = free_port()
    recognizer = place.start(
        *(sys.executable, "-m", "normtr", "live", "--source", DEMO, "--overlay", "--text", "off"),
        *("--bind", address),
        stdout=subprocess.DEVNULL,
    )
    with subscribe(AFFECT, address=address) as subscription:
        assert isinstance(subscription.receive(60), Affect)
        press(place, place.window(), "ctrl+q")
        until(lambda: not place.visible(), "it does not close")
        before = subscription.receive(5).seq
        assert subscription.receive(5).seq > before
    assert recognizer.poll() is None
    recognizer.terminate()
    assert recognizer.wait(20) == 0


SPOKEN = """
import json, sys
from pathlib import Path
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QApplication, QWidget
from stream.publish import recording
from stream.overlay.state import OverlayState
from stream.overlay.theme import DARK
from stream.overlay.window import OverlayWindow
from stream.client.received import received
application = QApplication([])
state, window = OverlayState("tcp://x:1"), OverlayWindow()
for message in recording.read(Path(sys.argv[1])):
    state.add(received(message), 0.0)
window.take(state.shown(0.0), DARK)
window.show()
print(json.dumps([
    [QAccessible.queryAccessibleInterface(part).text(kind) for kind in
     (QAccessible.Text.Name, QAccessible.Text.Description)]
    for part in (window, *window.findChildren(QWidget)) if part.accessibleName()
]))
"""


def spoken(folder: Path, *messages: Message) -> dict[str, str]:
    """What a screen reader says of each part of the window that heard these."""
    needed()
    path = folder / "a.jsonl"
    path.write_text("".join(map(recording.line, messages)))
    told = subprocess.run(
        [sys.executable, "-c", SPOKEN, path],
        capture_output=True,
        text=True,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        timeout=60,
    )
    assert told.returncode == 0, told.stderr
    return dict(json.loads(told.stdout))


def happy(source: str = "") -> Message:
    keys = {"top": "happy", "confidence": 0.8, "abstained": False, "source": source}
    return session.affect(9, gaps=HERE, **keys)


def test_of_two_sources_the_window_names_the_one_that_it_shows(tmp_path: Path) -> None:
    names = ["a.mp4", "b.mp4"]
    info = session.info(captures=False, source=", ".join(names), sources=names)
    parts = spoken(tmp_path, info, happy("a.mp4"), session.affect(9, source="b.mp4"))
    assert parts["capture"] == "playing a.mp4, one of 2 sources"
    assert parts["emotion"] == "happy, confidence 80%"


def test_a_screen_reader_hears_every_part(tmp_path: Path) -> None:
    parts = spoken(tmp_path, happy())
    assert parts["emotion"] == "happy, confidence 80%"
    assert parts["capture"] == "camera and microphone in use"
    assert "angry 12%" in parts["probabilities"]
    assert {"face", "voice", "words", "last minute"} <= parts.keys()
    assert parts["normtr overlay"].startswith("happy, confidence 80%. face: ")


def test_where_it_cannot_be_shown_it_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="there is no desktop"):
        overlay.run([])
    monkeypatch.setenv("DISPLAY", ":4711")
    assert live.run(["--source", str(DEMO), "--overlay"]) == 1
    assert "the display :4711 does not answer" in capsys.readouterr().err
    with pytest.raises(UsageError, match="leave --fast out"):
        live.run(["--source", str(DEMO), "--overlay", "--fast"])
    monkeypatch.setitem(qt_libraries.QT_LIBRARIES, "libnone.so.0", "libnone0")
    with pytest.raises(UserError, match="apt-get install -y libnone0"):
        overlay.run([])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="PySide6-Essentials"):
        overlay.run([])
