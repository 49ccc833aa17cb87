"""Builds and runs a session, in real time or in virtual time."""
