"""How much memory this process holds."""

import os

_PAGE_GB = os.sysconf("SC_PAGE_SIZE") / 2**30


def resident_gb() -> float:
    """Resident set size in GiB."""
    with open("/proc/self/statm", "rb") as stream:
        return int(stream.read().split()[1]) * _PAGE_GB
