"""What NORM-TR is compared with: IF-MMIN, NMER and plain rivals."""
