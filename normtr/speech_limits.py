"""Numbers that say how sound is cut for Whisper, apart from the code that needs the model."""

from __future__ import annotations

LONGEST_S = 15.0
"""The longest sound that one pass can get."""
PASSAGE_S = 12.0
"""The longest sound that one pass usually gets."""
PAUSE_MS = 600
"""A pause this long ends an utterance."""
THRESHOLD = 0.5
"""Silero's score (0..1) from which on sound counts as speech."""
