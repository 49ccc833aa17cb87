"""What a session is made of, in real time and in virtual time."""
