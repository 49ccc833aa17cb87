"""NORM-TR, IF-MMIN, NMER and plain rivals, which all follow one protocol."""
