"""A process that claims jobs, waits for a word, and then writes as if nothing had happened meanwhile."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from orchestrator.db.unit_of_work import SqlUnitsOfWork
from orchestrator.domain.decisions import Condemn, End, Move, Wait
from orchestrator.domain.job import Job, Leased
from orchestrator.domain.ports import Lease, UnitOfWork
from orchestrator.domain.recording import WriteLost
from orchestrator.reconciler.record import write_end, write_entry, write_move, write_verdict, write_wait
from shared.contracts.failures import Reason
from shared.contracts.jobs import Phase
from shared.contracts.work import ExitReport, Failure, Outcome
from shared.kit.sql import Database, open_engine

LEASE = timedelta(seconds=1)
Write = Callable[[UnitOfWork, Leased, datetime], Job]

WRITES: list[Write] = [
    lambda uow, held, now: write_move(uow, held, Move(Phase.STOPPED, "late"), now),
    lambda uow, held, now: write_end(uow, held, End(ExitReport(outcome=Outcome.SUCCEEDED, ended_at=now), "late"), now),
    lambda uow, held, now: write_wait(uow, held, Wait("late", 1.0), now),
    lambda uow, held, now: write_verdict(uow, held, Condemn(Failure.of(Reason.RUN_TIMEOUT, "late")), now),
    lambda uow, held, _: write_entry(uow, held, "late", datetime.now(UTC)),
]
"""Everything that a holder of a lease writes."""


def is_refused(units: SqlUnitsOfWork, held: Leased, write: Write) -> bool:
    """Whether the database takes a write no more."""
    try:
        units.write(lambda uow: write(uow, held, datetime.now(UTC)))
    except WriteLost:
        return True
    return False


def main() -> None:
    """Claim what is due, say so, and after a word of the caller's tell how many late writes were refused."""
    database = Database(open_engine(sys.stdin.readline().strip(), pool_size=1))
    units = SqlUnitsOfWork(database)
    now = datetime.now(UTC)
    due = units.read(lambda uow: uow.jobs.due(now, 1000))
    claimed = units.write(lambda uow: uow.jobs.claim(due, Lease("late", now, now + LEASE)))
    sys.stdout.write(f"{len(claimed)}\n")
    sys.stdout.flush()
    sys.stdin.readline()
    refused = sum(is_refused(units, held, write) for held in claimed for write in WRITES)
    sys.stdout.write(f"{refused}\n")
    database.close()


if __name__ == "__main__":
    main()
