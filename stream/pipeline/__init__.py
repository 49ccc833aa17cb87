"""Turns what sources give into windows of rows: ingest, workers, words, load shedding."""
