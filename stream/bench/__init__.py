"""`normtr bench live` and `normtr bench wire`: what the pipe and the wire keep up with."""
