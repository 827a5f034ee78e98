"""One file, one performance question, one command: `python -m benchmarks.NAME`."""

from galjax.stopping import listen_in_command

listen_in_command()
