"""A private PulseAudio for tests: a null sink to play into, whose monitor is the microphone.

Needs the Debian packages pulseaudio, pulseaudio-utils and libasound2-plugins, by which
PortAudio (over ALSA) reaches the server. Works as root, without a session bus and sound card.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from tests.support import components

START_LIMIT_S = 10.0

# Without `norewinds` the monitor of an idle null sink gives nothing for up to 2 s.
_SERVER = """\
load-module module-native-protocol-unix auth-anonymous=1 socket={socket}
load-module module-null-sink sink_name=speaker rate={rate} channels={channels} norewinds=1
set-default-sink speaker
set-default-source speaker.monitor
"""
_ALSA = """\
pcm.!default { type pulse }
ctl.!default { type pulse }
"""


class SoundServer:
    """Use it in a `with`; give `env` to every program that shall hear or play."""

    def __init__(self) -> None:
        components.require("pulseaudio", "pactl", "paplay")
        if not any(Path("/usr").glob("lib*/**/alsa-lib/libasound_module_pcm_pulse.so")):
            components.missing("ALSA lacks Pulse; run .ci/system_libraries.sh test")
        self._folder = Path(tempfile.mkdtemp(prefix="sound-"))
        self._socket = self._folder / "native"
        (self._folder / "alsa.conf").write_text(_ALSA)
        gone = ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "PULSE_SINK", "PULSE_SOURCE")
        self.env = {key: value for key, value in os.environ.items() if key not in gone} | {
            "HOME": str(self._folder),
            "XDG_RUNTIME_DIR": str(self._folder),
            "PULSE_SERVER": f"unix:{self._socket}",
            "ALSA_CONFIG_PATH": str(self._folder / "alsa.conf"),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SoundServer:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, rate: int = 44_100, channels: int = 2) -> None:
        """Start the server (again) and wait until it answers. Raises RuntimeError with its log."""
        script = _SERVER.format(socket=self._socket, rate=rate, channels=channels)
        (self._folder / "server.pa").write_text(script)
        self._socket.unlink(missing_ok=True)
        log = self._folder / "log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [
                    *("pulseaudio", "-n", "-F", self._folder / "server.pa", "--daemonize=no"),
                    *("--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes"),
                ],
                env=self.env,
                stdout=out,
                stderr=out,
            )
        until = time.monotonic() + START_LIMIT_S
        while time.monotonic() < until and self._process.poll() is None:
            answer = subprocess.run(["pactl", "info"], env=self.env, capture_output=True)
            if answer.returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(f"pulseaudio does not start:\n{log.read_text()}")

    def play(self, wav: Path) -> None:
        """Play a file into the sink; returns when it has been heard."""
        subprocess.run(["paplay", wav], env=self.env, check=True, timeout=60)

    def control(self, *words: str) -> None:
        """Have `pactl` do something."""
        subprocess.run(["pactl", *words], env=self.env, check=True, timeout=10, capture_output=True)

    def stall(self) -> None:
        """Stop the server's processes without ending them: nothing arrives any more."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """What unplugging looks like from a program."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
