"""Training and evaluation, offline."""

import contextlib
import ctypes
import os

# Set before torch is imported: a thread that waits for the others spins for a moment only,
# because spinning would keep a busy neighbour from its core.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

# By default glibc returns large freed blocks to the system, which hands them out again page by
# page. A training step of `bench model --steps 50` has some 2,000 page faults so, and 60 with
# these settings.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
with contextlib.suppress(OSError, AttributeError, TypeError):  # where the C library is not glibc
    _mallopt = ctypes.CDLL(None).mallopt
    _mallopt(_M_MMAP_THRESHOLD, 32 << 20)
    _mallopt(_M_TRIM_THRESHOLD, 1 << 30)
    _mallopt(_M_TOP_PAD, 64 << 20)
