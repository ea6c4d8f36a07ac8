"""What a restored database needs before the first orchestrator opens it."""

from sqlalchemy import Connection, update

from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.jobs import JobRow
from orchestrator.db.tables.outbox import OutboxRow


def settle(connection: Connection) -> None:
    """Free what the lost machine held, and send every event again.

    The log was saved before this database, so it may lack events that are marked as sent; those it has it drops.
    """
    jobs, outbox = table_of(JobRow), table_of(OutboxRow)
    connection.execute(update(jobs).values(lease_owner=None, lease_token=None, lease_expires_at=None))
    connection.execute(update(outbox).values(sent_at=None))
