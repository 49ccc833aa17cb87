"""Spreads pieces of work over processes. A process that dies loses only the piece it had."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from normtr.errors import UserError

T = TypeVar("T")
R = TypeVar("R")


LEAVE_S = 5.0
"""A process has this many seconds to end by itself before it is terminated."""


@dataclass(frozen=True)
class Raised:
    """An error in a process, to be raised in the process that started it."""

    error: Exception


@dataclass
class WorkerProcess(Generic[T]):
    """A process and the piece that it works on."""

    process: BaseProcess
    connection: Connection[Any, Any]
    piece: T | None = None
    """None while it starts, and when there is nothing left to do."""


def spread(
    pieces: Sequence[T], start: Callable[[], Callable[[T], R]], jobs: int
) -> Generator[tuple[T, R | None], None, None]:
    """Yield each piece with its result as soon as it is finished.

    The result is None if the process died while it worked on the piece. Every process calls
    `start` once, and then the function that `start` returned with each of its pieces; all of this
    must be picklable. An error in a process is raised here. Closing the iterator ends the
    processes, and they also end when this process dies. Raises UserError when a process dies
    while it starts.
    """
    context = multiprocessing.get_context("spawn")
    waiting = deque(pieces)
    workers: list[WorkerProcess[T]] = []
    try:
        while waiting or any(worker.piece is not None for worker in workers):
            while waiting and len(workers) < min(jobs, len(pieces)):
                workers.append(_started(context, start))
            for connection in wait([worker.connection for worker in workers]):
                worker = next(w for w in workers if w.connection is connection)
                piece, worker.piece = worker.piece, None
                try:
                    result = worker.connection.recv()
                except (EOFError, ConnectionError):
                    workers.remove(worker)
                    _end(worker)
                    if piece is None:
                        raise UserError(
                            "a process ended while it was starting; where memory is short, "
                            "fewer --jobs help."
                        ) from None
                    yield piece, None
                    continue
                if isinstance(result, Raised):
                    raise result.error
                if waiting:
                    worker.piece = waiting.popleft()
                    with contextlib.suppress(ConnectionError):  # it died, which the next recv tells
                        worker.connection.send(worker.piece)
                if piece is not None:
                    yield piece, result
    finally:
        for worker in workers:
            _end(worker)


def _started(context: SpawnContext, start: Callable[[], Callable[[T], Any]]) -> WorkerProcess[T]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, start), daemon=True)
    # Ctrl-C reaches all processes of a terminal. The others ignore it, because this one ends them.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, handler)
    theirs.close()  # so that the pipe ends with the process
    return WorkerProcess(process, ours)


def _end(worker: WorkerProcess[T]) -> None:
    """End a process. One without a piece has time to end by itself, which frees its semaphores."""
    worker.connection.close()
    if worker.piece is None:
        worker.process.join(LEAVE_S)
    worker.process.terminate()
    worker.process.join()


def _end_with_parent() -> None:
    """End this process as soon as its parent has ended.

    Otherwise a piece could go on for an hour, though nobody waits for its result, and get into
    the way of a new start.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _serve(connection: Connection[Any, Any], start: Callable[[], Callable[[T], Any]]) -> None:
    """Run in the process: say that it is ready, then answer each piece with its result."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        do = start()
        connection.send(None)
        while True:
            connection.send(do(connection.recv()))
    except (EOFError, ConnectionError):
        return  # nobody asks any more
    except Exception as error:
        connection.send(Raised(error))
