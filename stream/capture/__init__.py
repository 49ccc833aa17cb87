"""Cameras, microphones and clips: devices in, with their clocks."""
