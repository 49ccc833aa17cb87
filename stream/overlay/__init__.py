"""The desktop overlay: a window of its own process that subscribes to a recognizer."""
