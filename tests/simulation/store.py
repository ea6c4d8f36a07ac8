"""The orchestrator's database in memory: whole transactions, guarded saves, and commits that fail in every way."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from orchestrator.domain.job import Attempt
from orchestrator.domain.ports import UnitOfWork
from orchestrator.domain.queueing.lanes import group_of_project
from shared.kit.errors import Unavailable
from tests.simulation.chance import Chance
from tests.simulation.invariants import check_commit
from tests.simulation.job_rows import Jobs, Waitlist
from tests.simulation.records import Attempts, Audit, History, Outbox, Webhooks, Workers
from tests.simulation.tables import Tables

T = TypeVar("T")


class Transaction:
    """`UnitOfWork` over a snapshot; nothing simulated registers models or data sets."""

    def __init__(self, tables: Tables, tokens: Callable[[], str], limits: Mapping[str, int]) -> None:
        self.jobs = Jobs(tables, tokens)
        self.line = Waitlist(tables, limits)
        self.attempts = Attempts(tables)
        self.history = History(tables)
        self.outbox = Outbox(tables)
        self.workers = Workers()
        self.audit = Audit()
        self.webhooks = Webhooks()


class Store:
    """`UnitsOfWork` that several replicas share."""

    def __init__(self, chance: Chance, on_end: Callable[[Attempt], None]) -> None:
        self._chance = chance
        self._on_end = on_end
        self.tables = Tables()
        self.limits = {group_of_project("default"): chance.rng.randint(1, 3)}

    def _token(self) -> str:
        return f"{self._chance.rng.getrandbits(64):016x}"

    def read(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` on what is committed."""
        if self._chance.strikes(self._chance.faults.commit_refused):
            raise Unavailable("the database does not answer")
        return work(Transaction(self.tables.copy(), self._token, self.limits))  # type: ignore[arg-type]

    def write(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run `work` and commit; the commit may fail, be unheard, or be run again whole."""
        faults = self._chance.faults
        if self._chance.strikes(faults.commit_refused):
            raise Unavailable("the database does not answer")
        result = self._commit(work)
        if self._chance.strikes(faults.commit_repeated):
            result = self._commit(work)
        if self._chance.strikes(faults.commit_unheard):
            raise Unavailable("the database went away at the commit")
        return result

    def _commit(self, work: Callable[[UnitOfWork], T]) -> T:
        after = self.tables.copy()
        result = work(Transaction(after, self._token, self.limits))  # type: ignore[arg-type]
        check_commit(self.tables, after, min(self.limits.values()))
        for key, attempt in after.attempts.items():
            if attempt.exit is not None and self.tables.attempts[key].exit is None:
                self._on_end(attempt)
        self.tables = after
        return result
