"""`normtr service` lets the recognizer run in the background, as a systemd user service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from normtr.config import parse
from normtr.errors import UsageError, UserError
from normtr.whole_file import whole_file

USAGE = """\
usage: normtr service print|install [options of normtr live]
       normtr service remove

print    show the unit file of a systemd user service that runs `normtr live`
install  write it to your home folder; then: systemctl --user enable --now normtr
remove   stop the service and delete the file"""

# Settings that need namespaces are left out: many systems forbid them to users, and the service
# would not start. Devices and the sound server stay reachable.
UNIT = """\
[Unit]
Description=normtr: emotion recognition from webcam and microphone
After=pipewire-pulse.service pulseaudio.service
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=notify
ExecStart={command}
WorkingDirectory={folder}
StandardOutput=null
TimeoutStartSec=180
WatchdogSec=30
TimeoutStopSec=20
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK

[Install]
WantedBy=default.target
"""


def path() -> Path:
    """Return where systemd looks for this user's unit."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "systemd" / "user" / "normtr.service"


def unit(options: list[str]) -> str:
    """Return the text of the unit file.

    Raises UsageError for options with which `normtr live` would not start.
    """
    from stream.commands.live_config import Live

    config = parse(Live, options, "live")
    written = [option for option, path in config.outputs.items() if path is not None]
    if written and not config.force:
        raise UsageError(
            f"a service starts anew each time, and {written[0]} would be refused where its file is "
            "there already; --force has each start replace it."
        )
    words = [sys.executable, "-P", "-m", "normtr", "live", *options]
    folder = str(Path.cwd()).replace("%", "%%")
    return UNIT.format(command=" ".join(map(quoted, words)), folder=folder)


def quoted(word: str) -> str:
    """Return a word of a command line as systemd reads it."""
    for special, written in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$"), ("\n", "\\n")):
        word = word.replace(special, written)
    return f'"{word}"'


def run(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if argv else 2
    action, *options = argv
    if action == "print":
        print(unit(options), end="")
    elif action == "install":
        _install(unit(options))
    elif action == "remove" and not options:
        _remove()
    else:
        raise UsageError("it is `normtr service print`, `install` or `remove`; see --help.")
    return 0


def _install(text: str) -> None:
    target = path()
    try:
        with whole_file(target) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}.") from None
    _systemctl("daemon-reload")
    print(f"Wrote {target}. Start it with: systemctl --user enable --now normtr", file=sys.stderr)


def _remove() -> None:
    if not path().exists():
        raise UserError(f"there is no {path()}.")
    _systemctl("disable", "--now", "normtr.service")
    path().unlink(missing_ok=True)
    _systemctl("daemon-reload")


def _systemctl(*words: str) -> None:
    """Run systemctl; without systemd for this user, only the file is written or deleted."""
    if shutil.which("systemctl"):
        command = ["systemctl", "--user", *words]
        subprocess.run(command, check=False, capture_output=True, timeout=60)
