"""One file, one performance question, one command: `python -m benchmarks.NAME`."""

from galjax.terminal.interrupts import listen_in_command

listen_in_command()
