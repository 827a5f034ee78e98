"""One file, one scientific question, one command: `python -m experiments.NAME`."""
