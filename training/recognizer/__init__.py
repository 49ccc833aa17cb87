"""The shipped recognizer's own networks: face, voice, text and their fusion, trained and judged."""
