"""The verbs that run live, one file each, and what only verbs need."""
