"""Data sets, one file each, and the extraction of clips into caches."""
