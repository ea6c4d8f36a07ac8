"""Alembic's entry: everything is in the kit."""

from services.stream.log.tables import metadata
from shared.kit.migrations import run_env

run_env(metadata)
