"""The orchestrator's database; rows never leave this package."""
