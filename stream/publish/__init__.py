"""Sends out what a session gives: messages, sockets, requests, recordings."""
