"""What this machine has."""

import os


def host_memory() -> float:
    """Bytes of physical memory."""
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
