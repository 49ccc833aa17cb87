"""How sound is cut for Whisper: the numbers alone, for who has nothing to transcribe yet."""

from __future__ import annotations

# Whisper's encoder takes any length; at half of the usual 30 s a pass takes less than half.
FRAMES = 1500
FRAMES_PER_S = 100
LONGEST_S = FRAMES / FRAMES_PER_S
PASSAGE_S = 12.0
"""What one pass is usually given at most."""
PAUSE_MS = 600
"""So long without speech ends an utterance."""
THRESHOLD = 0.5
"""What Silero gives at least this (0..1) is speech."""
