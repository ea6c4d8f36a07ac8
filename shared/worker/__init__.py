"""How every worker service runs jobs: one protocol, one pair of processes an attempt."""
