"""The `normtr` program: finds its verbs by entry-point group `normtr.verbs`, loads one on use.

A verb is a function (arguments) -> exit status. This module imports nothing heavy, so that
`normtr watch` starts without torch.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from importlib.metadata import EntryPoint, entry_points

from normtr.errors import UserError


def verbs() -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group="normtr.verbs"))}


def usage(known: dict[str, EntryPoint]) -> str:
    names = "\n".join(f"  normtr {name}" for name in known)
    return f"usage: normtr VERB [--help] [options]\n\n{names}\n\n--debug shows tracebacks."


def run(argv: list[str]) -> int:
    """Run one verb and turn what can go wrong into an exit status and one sentence."""
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
        status: int = known[argv[0]].load()(argv[1:])
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
        print(
            f"normtr {argv[0]}: the package {error.name!r} is missing; run `make install`.",
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


def main() -> None:
    sys.exit(run(sys.argv[1:]))
