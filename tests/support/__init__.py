"""What several test modules use: files, messages, servers, programs, a desktop."""
