"""Shows sessions to people: terminal, timeline, tables."""
