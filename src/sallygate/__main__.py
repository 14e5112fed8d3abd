"""`python -m sallygate`."""

from sallygate.cli import main

main()
