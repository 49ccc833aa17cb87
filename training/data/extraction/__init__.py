"""Makes a cache of rows and words from clips and their labels."""
