"""A catalogue of many galaxies, on disk: read, classified and written a batch at a time, and resumed where it was stopped."""
