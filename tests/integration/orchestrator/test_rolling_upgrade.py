"""Two schema versions alive: an orchestrator goes on, and starts again, after the next one has migrated."""

import pytest
from sqlalchemy import text

from orchestrator.db.engine import MIGRATIONS, migrate
from shared.contracts.work import Outcome
from shared.kit.schema import SchemaTooNew, newest_revision
from shared.kit.sql import Database
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import Mesh
from tests.waiting import eventually

NEWEST = newest_revision(MIGRATIONS)
NEXT = f"{NEWEST[0]}{int(NEWEST[1:]) + 1:04}"
NEXT_ERA = f"{NEWEST[0]}{int(NEWEST[1]) + 1}000"


def mark(database: Database, revision: str) -> None:
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def migrate_to_the_next(database: Database) -> None:
    """What a later program would do: add a column that it fills itself, a table and an index."""
    with database.engine.begin() as connection:
        for table in ("jobs", "attempts", "history", "outbox"):
            connection.execute(text(f"ALTER TABLE {table} ADD COLUMN colour VARCHAR(8)"))
        connection.execute(text("CREATE TABLE colours (name VARCHAR(8) PRIMARY KEY)"))
        connection.execute(text("CREATE INDEX ix_jobs_colour ON jobs (colour, job_id)"))
    mark(database, NEXT)


def finish(mesh: Mesh, job_id: str) -> None:
    mesh.until(job_id, "running")
    mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    assert mesh.until(job_id, "succeeded")["attempt"] == 1
    eventually(lambda: mesh.stream.phases(job_id), lambda told: told == mesh.history(job_id))


def test_an_earlier_program_goes_on_and_starts_again_beside_a_later_schema(mesh: Mesh) -> None:
    before = mesh.submit()
    mesh.until(before, "running")
    migrate_to_the_next(mesh.wiring.database)
    finish(mesh, before)
    finish(mesh, mesh.submit())
    across = mesh.submit()
    mesh.until(across, "running")
    mesh.restart()
    finish(mesh, across)
    finish(mesh, mesh.submit())


def test_a_schema_that_lost_something_is_refused_in_words(mesh: Mesh) -> None:
    mark(mesh.wiring.database, NEXT_ERA)
    with pytest.raises(SchemaTooNew, match=f"{NEXT_ERA}; this program ends at {NEWEST}: update IMTS"):
        migrate(mesh.wiring.database)
