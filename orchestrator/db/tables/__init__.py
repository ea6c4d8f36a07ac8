"""One table a file; `metadata` knows them all."""

from orchestrator.db.tables import attempts, datasets, history, jobs, keys, models, outbox
from orchestrator.db.tables.base import Base

metadata = Base.metadata

__all__ = ["attempts", "datasets", "history", "jobs", "keys", "metadata", "models", "outbox"]
