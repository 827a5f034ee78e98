"""One file, one performance question, one command: `python -m benchmarks.NAME`."""
