"""The orchestrator's own loops in a simulated world: virtual time, seeded faults, every run repeatable by its seed."""
