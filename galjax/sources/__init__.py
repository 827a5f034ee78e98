"""Where galaxies come from. Every source ends in a function that returns a `galjax.sample.GalaxySample`."""
