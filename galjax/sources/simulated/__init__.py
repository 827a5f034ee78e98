"""Galaxies rendered here: what they are, and how an instrument sees them."""
