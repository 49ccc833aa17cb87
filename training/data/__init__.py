"""One file for each data set, and what clips are extracted into."""
