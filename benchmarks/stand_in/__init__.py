"""A stand-in for the survey archives on this machine: their paths, headers and files, and their faults."""
