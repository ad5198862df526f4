"""`python -m xlrec.cli` is `xlrec`."""

from xlrec.cli import main

main()
