"""From what a source gives to windows of rows: ingest, workers, words, load shedding."""
