"""Training and evaluation, offline."""

import os

# Before torch is imported: a thread that waits for the others spins for a moment only, because
# it would keep a busy neighbour from its core. Not at all, and a training step of `bench model`
# (T = 16, 2 cores) took 97 ms instead of 52.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
