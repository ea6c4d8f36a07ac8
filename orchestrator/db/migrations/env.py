"""Alembic's entry: everything is in the kit."""

from orchestrator.db.tables import metadata
from shared.kit.migrations import run_env

run_env(metadata)
