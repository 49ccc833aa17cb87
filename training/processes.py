"""Pieces of work over processes; a process that dies takes only its own piece with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import torch

from normtr.errors import UserError
from training.parallel_cpu import CORES

T = TypeVar("T")
R = TypeVar("R")


LEAVE_S = 5.0
"""For a process to end by itself."""


@dataclass(frozen=True)
class Raised:
    """What a process could not handle; raised in the first one."""

    error: Exception


@dataclass
class WorkerProcess(Generic[T]):
    """A process and the piece it works on; None while it starts."""

    process: BaseProcess
    connection: Connection[Any, Any]
    piece: T | None = None


def spread(
    pieces: Sequence[T], start: Callable[[], Callable[[T], R]], jobs: int
) -> Generator[tuple[T, R | None], None, None]:
    """Each piece with its result, as they finish; None where the process died of it.

    Every process calls `start` once and what it gives for each of its pieces; everything must
    be picklable. What is raised there is raised here. Closing the iterator ends the processes;
    they also end when this process dies.
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
                    with contextlib.suppress(ConnectionError):  # it died: told by the next recv
                        worker.connection.send(worker.piece)
                if piece is not None:
                    yield piece, result
    finally:
        for worker in workers:
            _end(worker)


def apart(work: Callable[[T], bool], pieces: Sequence[T]) -> None:
    """Trainings that do not depend on each other, each by one thread in a process of its own; on a
    GPU one after the other. `work` gives True; it and the pieces must be picklable."""
    jobs = 1 if torch.cuda.is_available() else CORES
    for _, done in spread(pieces, partial(_by_one_thread, work), jobs):
        if not done:
            raise UserError("a process of the training died; start it again to go on.")


def _by_one_thread(work: Callable[[T], bool]) -> Callable[[T], bool]:
    torch.set_num_threads(1)
    return work


def _started(context: SpawnContext, start: Callable[[], Callable[[T], Any]]) -> WorkerProcess[T]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, start), daemon=True)
    # Ctrl-C goes to all processes of a terminal; it is this one that ends the others.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, handler)
    theirs.close()  # so that the pipe ends with the process
    return WorkerProcess(process, ours)


def _end(worker: WorkerProcess[T]) -> None:
    """One that waits for a piece goes by itself, which gives back its semaphores."""
    worker.connection.close()
    if worker.piece is None:
        worker.process.join(LEAVE_S)
    worker.process.terminate()
    worker.process.join()


def _end_with_parent() -> None:
    """A piece may take an hour: nobody would get its result, and a new start would meet it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _serve(connection: Connection[Any, Any], start: Callable[[], Callable[[T], Any]]) -> None:
    """In the process: say that it is ready, then answer each piece."""
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
