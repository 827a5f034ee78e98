"""Networks, how their layers are computed, and updates that are made several steps at a time."""
