"""What goes out of a session: messages, sockets, requests, recordings."""
