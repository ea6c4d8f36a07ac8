"""How replicas tell each other that there is more to read."""
