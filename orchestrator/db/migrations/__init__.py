"""Every change to the orchestrator's schema, in order."""
