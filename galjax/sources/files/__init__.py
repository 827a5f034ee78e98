"""A user's own galaxies: a catalogue, and an image file for each."""
