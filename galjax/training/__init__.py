"""Training: pure functions of one repeat, all repeats in one program, and how a device computes it."""
