"""One file for each verb that runs live, and what only verbs need."""
