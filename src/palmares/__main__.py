"""`python -m palmares` is the command `palmares`."""

from palmares.cli import main

main(prog_name="palmares")
