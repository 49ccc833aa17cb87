"""Reads cameras, microphones and clips, with their clocks."""
