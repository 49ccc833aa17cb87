"""The `normtr` program. It finds its verbs by entry-point group and loads one on use.

A verb is a function that takes the arguments and returns the exit status. This module imports
nothing heavy, so that `normtr watch` starts without torch.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points

from normtr.errors import UserError
from normtr.progress import say

TASKS = {
    "Recognise": {
        "live": "recognise from webcam and microphone, or a clip, and publish what is seen",
        "overlay": "show it in a small window on the desktop, or as a page for OBS",
        "watch": "show in the terminal what a recognizer publishes, or write it into a table",
        "replay": "publish a recorded session again",
        "calibrate": "measure the bias of your own neutral face and voice",
    },
    "Set up": {
        "doctor": "say which devices and models are here, and how to get what is missing",
        "service": "recognise in the background, as a systemd user service",
        "keys": "make the keys with which other machines may subscribe",
        "bench": "measure speed: of the live pipe, of the network, of publishing",
    },
    "Train": {
        "extract": "turn clips and their labels into data to train on",
        "train": "train one model from one config",
        "evaluate": "say how good a model is, also with more and more input missing",
        "compare": "train and evaluate several systems under one protocol",
        "report": "put runs side by side: tables, intervals, pictures",
    },
}
"""All our verbs with what they do, in the order in which people need them. Listing them loads no
code."""

EXTRA_OF = {
    "PySide6": "overlay",
    "aiohttp": "web",
    "pylsl": "lsl",
    **dict.fromkeys(
        (
            *("h5py", "lightning", "scipy", "sklearn", "soundfile", "torch", "torchmetrics"),
            *("tqdm", "transformers"),
        ),
        "train",
    ),
}
"""The extra that installs a package, by the package's import name; `live` installs the others."""


def verbs() -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group="normtr.verbs"))}


def usage(known: Iterable[str]) -> str:
    """Return the text of `normtr --help`; verbs of other packages come last."""
    ours = {verb for lines in TASKS.values() for verb in lines}
    others = dict.fromkeys((verb for verb in known if verb not in ours), "")
    wide = max(map(len, ours | set(others)))
    parts = ["usage: normtr VERB [options]"]
    for task, lines in {**TASKS, "Others": others}.items():
        there = [
            f"  {verb:{wide}}  {line}".rstrip() for verb, line in lines.items() if verb in known
        ]
        if there:
            parts.append("\n".join([f"{task}:", *there]))
    parts.append("normtr VERB --help lists the options of a verb; --debug shows tracebacks.")
    return "\n\n".join(parts)


def run(argv: list[str]) -> int:
    """Run one verb, and turn errors into one sentence and an exit status."""
    known = verbs()
    debug = "--debug" in argv
    argv = [word for word in argv if word != "--debug"]
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage(known))
        return 0 if argv else 2
    if argv[0] not in known:
        print(f"normtr: no verb {argv[0]!r}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    try:
        status: int = _loaded(known[argv[0]])(argv[1:])
        return status
    except KeyboardInterrupt:
        return 130
    except UserError as error:
        if debug:
            traceback.print_exc()
        print(f"normtr {argv[0]}: {error}", file=sys.stderr)
        return error.status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        if debug:
            traceback.print_exc()
        extra = "train" if argv[0] in TASKS["Train"] else EXTRA_OF.get(error.name or "", "live")
        print(
            f"normtr {argv[0]}: the package {error.name!r} is missing; "
            f"type: pip install 'normtr[{extra}]'",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        if debug:
            traceback.print_exc()
        if error.errno == errno.ENOSPC:
            reason = "the disk is full; free some space and run it again."
        else:
            reason = f"failed ({error})."
        print(f"normtr {argv[0]}: {reason}", file=sys.stderr)
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        what = " ".join([type(error).__name__ + ":", *str(error).split()])
        print(
            f"normtr {argv[0]}: failed unexpectedly ({what.rstrip(':')}); "
            "run again with --debug to see where.",
            file=sys.stderr,
        )
        return 1


def _loaded(verb: EntryPoint) -> Callable[[list[str]], int]:
    """Load a verb. Those that train import for seconds, which is told where somebody looks on."""
    if verb.name in TASKS["Train"] and sys.stderr.isatty():
        say(f"Loading what `normtr {verb.name}` needs (up to 10 s)")
    function: Callable[[list[str]], int] = verb.load()
    return function


def main() -> None:
    sys.exit(run(sys.argv[1:]))
