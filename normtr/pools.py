"""The thread pools of the libraries, which beside each other hold each other up."""

from __future__ import annotations

import cv2
import torch
from threadpoolctl import threadpool_limits


def one_thread_each() -> None:
    """Every pool gets one thread: beside a busy process a second one costs 30 times the time."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    threadpool_limits(1)
