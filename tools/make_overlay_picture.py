"""Draw the README's picture of the overlay, in a real window on a virtual screen.

Run it with: python -m tools.make_overlay_picture
"""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.publish.publisher import Publisher
from stream.wire import Message
from tests.support import overlay_session as session
from tests.support.desktop import Desktop, desktop, until
from tests.support.ports import free_port

STORY = {
    "face": [(72, 108, "no_face"), (196, 204, "poor_image")],
    "voice": [(24, 52, "silence"), (112, 172, "muted")],
    "text": [(0, 60, "no_words"), (112, 172, "muted"), (204, 224, "no_words")],
}
"""The first step, the end and the cause of each gap, by modality."""
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "overlay.png"


def seen(path: Path) -> NDArray[np.uint8]:
    """Read RGB [H, W, 3]."""
    return cv2.imread(str(path))[..., ::-1]


def scene(step: int) -> Message:
    """Return the message of a step in an ordinary minute: a face turned away, silences, a mute."""
    causes = {
        modality: [cause(modality, step - back) for back in reversed(range(session.WINDOW))]
        for modality in STORY
    }
    shares = np.roll(np.array(session.probabilities(step)) ** 2.2, 1)
    shares /= shares.sum()
    top = int(shares.argmax())
    return session.affect(
        step,
        gaps=causes,
        probabilities=shares.tolist(),
        top=session.LABELS[top],
        confidence=float(shares[top]),
        abstained=bool(shares[top] < 0.4),
    )


def cause(modality: str, step: int) -> str:
    held = (name for first, end, name in STORY[modality] if first <= step < end)
    return "starting" if step < 0 else next(held, "none")


def picture_of(screen: Desktop, **more: Any) -> NDArray[np.uint8]:
    """Return the window as it looks after that minute."""
    address = free_port()
    process = screen.overlay("--address", address, "--colours", "dark", **more)
    window = screen.window()
    with closing(Publisher(address)) as publisher:
        until(publisher.info_wanted, "the overlay did not subscribe")
        for step in range(3, session.STEPS, 4):
            publisher.send(session.info())
            publisher.send(scene(step))
            time.sleep(0.08)
        time.sleep(0.5)
        picture = screen.shot(window)
    screen.end(process)
    return picture


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, desktop(Path(folder)) as screen:
        (screen.home / "normtr").mkdir()
        (screen.home / "normtr" / "overlay.conf").write_text("[General]\nwelcomed=true\n")
        smallest = [cv2.IMWRITE_PNG_COMPRESSION, 9]
        cv2.imwrite(str(PICTURE), picture_of(screen)[..., ::-1], smallest)


if __name__ == "__main__":
    main()
