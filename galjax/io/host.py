"""What this machine has."""

import contextlib
import os
from pathlib import Path

CONTROL_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def host_memory() -> float:
    """Bytes that this process may use: the machine's, or those of its control group."""
    limits = [float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))]
    for file in CONTROL_GROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" where there is none
            limits.append(float(Path(file).read_text()))
    return min(limits)
