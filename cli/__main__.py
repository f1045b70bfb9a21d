"""`python -m cli`: what the launcher starts."""

from cli.main import main

main()
