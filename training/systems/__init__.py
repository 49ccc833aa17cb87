"""NORM-TR, IF-MMIN, NMER and plain rivals: one protocol, one file each."""
