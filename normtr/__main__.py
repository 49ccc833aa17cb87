"""`python -m normtr` is the `normtr` program."""

from normtr.cli import main

main()
