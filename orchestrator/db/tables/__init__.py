"""One table a file; `metadata` knows them all."""

from orchestrator.db.tables import (
    attempts,
    audit,
    datasets,
    deletions,
    dependencies,
    history,
    jobs,
    keys,
    lanes,
    models,
    outbox,
    quotas,
    requests,
    sweeps,
    webhooks,
    workers,
)  # fmt: skip
from orchestrator.db.tables.base import Base

metadata = Base.metadata

__all__ = [
    "attempts", "audit", "datasets", "deletions", "dependencies", "history", "jobs", "keys", "lanes",
    "metadata", "models", "outbox", "quotas", "requests", "sweeps", "webhooks", "workers",
]  # fmt: skip
