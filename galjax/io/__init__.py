"""Files of any kind, read safely, and what this machine has."""
