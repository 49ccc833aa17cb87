"""The desktop overlay: a window in a process of its own that subscribes to a recognizer."""
