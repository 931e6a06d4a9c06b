"""`python -m perpcore` is the command `perpcore`."""

from perpcore.cli import main

main()
