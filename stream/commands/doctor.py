"""`normtr doctor` says what is here, what is missing, and which command fixes it."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import psutil
from rich.console import Console

from normtr.config import parse
from normtr.errors import UserError
from normtr.progress import say
from normtr.shipped import SHIPPED
from stream.capture import device_probe
from stream.capture.device_probe import SAMPLE_S, Finding, State
from stream.overlay import qt_libraries
from stream.pipeline.stages import CaptureDevice
from stream.session.source_config import DEMO
from stream.views.findings import show

PACKAGES = (
    *("openvino", "numpy", "opencv-python", "faster-whisper", "ctranslate2", "tokenizers"),
    *("sounddevice", "soxr", "av", "pyzmq", "safetensors"),
)
LIBRARIES = {
    "libportaudio.so.2": "libportaudio2",
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxcb.so.1": "libxcb1",
}
"""The Debian package of each shared object that the Python packages need."""
PORTS = {5577: "topics", 5578: "control"}
PROBE_LIMIT_S = 60.0
"""No probe may take longer; the slowest one loads the models from a cold disk."""
INSTALL = "pip install 'normtr[live]'"


@dataclass(frozen=True)
class DoctorConfig:
    """Look at devices, models and versions; say what is missing and how to get it."""

    camera: str | None = None
    """Index, part of the name, device path, file or URL; without it, every camera of the system."""
    microphone: str | None = None
    """Index or part of the name; without it, the default input and every other one."""
    av_skew: str | None = None
    """Only tell how much later sound comes than pictures, in this clip or from this camera."""
    json: bool = False
    """Print one JSON object on standard output instead of a table."""


def run(argv: Sequence[str]) -> int:
    """Run the verb; return 0 if `normtr live` can run at least on the demo clip, else 1."""
    config = parse(DoctorConfig, argv, "doctor")
    before = set(threading.enumerate())
    status = _examine(config) if config.av_skew is None else _skew(config.av_skew, config)
    for thread in set(threading.enumerate()) - before:
        thread.join(SAMPLE_S)
        if thread.is_alive():  # it hangs in a driver, and would break the interpreter's exit
            sys.stdout.flush()
            os._exit(status)
    return status


def _examine(config: DoctorConfig) -> int:
    with _doing("Looking at models and devices (up to half a minute)"):
        findings = [finding for probe in _probes(config) for finding in probe]
    status = int(any(finding.state == "missing" for finding in findings))
    if config.json:
        rows = [{k: v for k, v in asdict(f).items() if k != "frame"} for f in findings]
        print(json.dumps({"ok": status == 0, "findings": rows}))
    else:
        show(findings)
    return status


def _skew(source: str, config: DoctorConfig) -> int:
    from stream.capture.av_skew import DEVICES_S, measure

    if Path(source).is_dir():
        raise UserError(f"{source} is a folder; give a clip in it, or a camera.")
    doing = f"Waiting for a flash and a beep (a camera: {DEVICES_S:.0f} s)"
    try:
        with _doing(doing):
            skew = measure(source, config.microphone)
    except UserError as error:
        print(f"normtr doctor: {error}", file=sys.stderr)
        return error.status
    if config.json:
        print(json.dumps({"ok": True, "source": source} | asdict(skew)))
        return 0
    when = "after" if skew.ms >= 0 else "before"
    print(
        f"{source}: the sound comes {abs(skew.ms):.0f} ms {when} the picture "
        f"(within {skew.resolution_ms:.0f} ms; flashes with a beep: {skew.pairs})"
    )
    late = CaptureDevice.MICROPHONE if skew.ms >= 0 else CaptureDevice.CAMERA
    print(f"→ from devices: normtr live --{late}-latency-ms {abs(skew.ms):.0f} makes them even")
    return 0


@contextmanager
def _doing(what: str) -> Iterator[None]:
    """Say at once what is being done; a terminal shows a sign of life."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(what):
            yield
    else:
        say(what)
        yield


def _probes(config: DoctorConfig) -> Iterator[list[Finding]]:
    yield [_packages(), *_libraries()]
    yield _probe("machine", "warning", _machine)
    yield _probe("models", "missing", _models)
    yield _probe("recognizer", "missing", _checkpoint)
    yield [_demo(), *_ports(), _overlay()]
    # Devices may be missing: there is the demo clip.
    yield _probe("camera", "warning", lambda: device_probe.cameras(config.camera))
    yield _probe("microphone", "warning", lambda: device_probe.microphones(config.microphone))


def _probe(what: str, otherwise: State, ask: Callable[[], list[Finding]]) -> list[Finding]:
    """Return what `ask` finds within `PROBE_LIMIT_S`; an error is a finding of state
    `otherwise`."""
    answer: Future[list[Finding]] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=work, name=f"probe {what}", daemon=True).start()
    try:
        return answer.result(PROBE_LIMIT_S)
    except TimeoutError:
        return [Finding(what, otherwise, f"no answer within {PROBE_LIMIT_S:.0f} s")]
    except (UserError, ImportError) as error:
        return [Finding(what, otherwise, str(error), INSTALL)]
    except Exception as error:
        return [Finding(what, otherwise, f"{type(error).__name__}: {error}")]


def _machine() -> list[Finding]:
    from normtr import gpu_choice

    gpu = gpu_choice.unusable() or "with a CUDA device"
    cores, memory_gib = os.cpu_count(), psutil.virtual_memory().total / 2**30
    python = f"Python {platform.python_version()}"
    detail = f"{platform.platform()}, {cores} cores, {memory_gib:.1f} GiB, {gpu}, {python}"
    return [Finding("machine", "ok", detail)]


def _packages() -> Finding:
    versions: dict[str, str] = {}
    for name in ("normtr", *PACKAGES):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            return Finding("packages", "missing", f"{name} is not installed", INSTALL)
    detail = ", ".join(f"{name} {number}" for name, number in versions.items())
    return Finding("packages", "ok", detail, figures=versions)


def _libraries() -> list[Finding]:
    if sys.platform != "linux":  # elsewhere they come inside the Python packages
        return []
    lacking = []
    for name in LIBRARIES:
        try:
            ctypes.CDLL(name)
        except OSError:
            lacking.append(name)
    if not lacking:
        return [Finding("libraries", "ok", ", ".join(LIBRARIES))]
    fix = f"{_sudo()}apt-get install -y {' '.join(LIBRARIES[name] for name in lacking)}"
    return [Finding("libraries", "missing", f"not found: {', '.join(lacking)}", fix)]


def _sudo() -> str:
    return "" if os.geteuid() == 0 else "sudo "


def _overlay() -> Finding:
    """Return what is missing for the overlay; everything else works without it."""
    if find_spec("PySide6") is None:
        detail = "PySide6-Essentials is not installed"
        return Finding("overlay", "warning", detail, "pip install 'normtr[overlay]'")
    if lacking := qt_libraries.missing():
        fix = f"{_sudo()}apt-get install -y {' '.join(lacking)}"
        return Finding("overlay", "warning", f"not found: {', '.join(lacking)}", fix)
    return Finding("overlay", "ok", f"PySide6-Essentials {metadata.version('PySide6-Essentials')}")


def _models() -> list[Finding]:
    from normtr import models

    packages = (models.DETECTOR, models.SPEECH, models.TEXT)
    for package in packages:
        models.embedded(package)
    return [Finding("models", "ok", f"{', '.join(packages)}: sha256 as known")]


def _checkpoint() -> list[Finding]:
    from normtr import checkpoint

    try:
        loaded = checkpoint.load(SHIPPED)
    except checkpoint.CheckpointError as error:
        fix = "git checkout -- normtr/weights (or, to train them again: make weights)"
        return [Finding("recognizer", "missing", str(error), fix)]
    figures = {"sha256": loaded.sha256, "labels": list(loaded.labels)}
    detail = f"{loaded.sha256[:12]}: {', '.join(loaded.labels)}"
    return [Finding("recognizer", "ok", detail, figures=figures)]


def _demo() -> Finding:
    if not DEMO.is_file():
        return Finding("demo clip", "warning", "it is missing", "make demo")
    return Finding("demo clip", "ok", f"{DEMO.stat().st_size / 2**20:.1f} MiB")


def _ports() -> list[Finding]:
    out = []
    for port, use in PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                out.append(Finding(f"port {port}", "ok", f"free ({use})"))
            except OSError as error:
                fix = "stop the other `normtr live`, or: normtr live --bind tcp://127.0.0.1:PORT"
                detail = f"not free ({use}): {error.strerror}"
                out.append(Finding(f"port {port}", "warning", detail, fix))
    return out
