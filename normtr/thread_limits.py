"""Thread pools of the libraries. Several pools beside each other slow each other down."""

from __future__ import annotations

import sys

import cv2
from threadpoolctl import threadpool_limits


def one_thread_each() -> None:
    """Give every pool one thread: beside a busy process a second thread costs 30 times the time.

    A library that is imported later is not concerned.
    """
    if "torch" in sys.modules:  # it is used on a GPU and in training
        sys.modules["torch"].set_num_threads(1)
    cv2.setNumThreads(1)
    threadpool_limits(1)
