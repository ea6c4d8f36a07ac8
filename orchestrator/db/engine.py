"""Opens the orchestrator's database and brings it to the newest schema."""

from pathlib import Path

from orchestrator.settings import OrchestratorSettings
from shared.kit.schema import upgrade
from shared.kit.sql import Database, open_engine

MIGRATIONS = "orchestrator.db.migrations"


def open_database(settings: OrchestratorSettings) -> Database:
    """The database that the settings name; one connection for each thread."""
    if not settings.database_url.get_secret_value():
        Path(settings.data_dir).mkdir(parents=True, exist_ok=True)
    return Database(open_engine(settings.database, settings.threads))


def migrate(database: Database) -> None:
    """Apply every migration that it lacks."""
    upgrade(database.engine, MIGRATIONS)
