"""Measures what the pipe and the wire keep up with: `normtr bench live` and `normtr bench wire`."""
