"""One run on disk: its folder, lock, checkpoints, and the trainings in it."""
