"""Where pairs of processes run: on this machine, later elsewhere."""
