"""Cameras, microphones and clips as sources, and what each device of this machine says."""
