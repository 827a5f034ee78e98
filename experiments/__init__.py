"""One file, one scientific question, one command: `python -m experiments.NAME`."""

from galjax.terminal.interrupts import listen_in_command

listen_in_command()
