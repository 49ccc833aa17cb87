"""Training and evaluation, offline."""

import os

# Before torch is imported: a thread that waits for the others spins for a moment only, because
# it would keep a busy neighbour from its core; not at all would cost a third of the speed.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
