"""What people look at: terminal, timeline, tables."""
