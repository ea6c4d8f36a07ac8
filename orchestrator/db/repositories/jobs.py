"""Jobs in SQL: Core statements, because a POST waits for them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from secrets import token_hex
from typing import Any

from sqlalchemy import Row, Text, and_, bindparam, func, insert, or_, select, type_coerce, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from orchestrator.db.repositories.job_rows import MUTABLE, job_of, row_of
from orchestrator.db.repositories.lanes import first_of_lane, register
from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.dependencies import DependencyRow
from orchestrator.db.tables.jobs import JobRow
from orchestrator.domain.job import Job, Leased, NewJob, is_job_id
from orchestrator.domain.job_machine import WORKING
from orchestrator.domain.ports import AlreadyThere, JobFilter, Lease
from orchestrator.domain.queueing.lanes import Lane
from shared.contracts.jobs import Phase

_T = table_of(JobRow)
_JOBS = _T.c
_NEEDS = table_of(DependencyRow)
_LOOKED_AT = sorted(WORKING | {Phase.QUEUED})
_NO_LEASE: dict[str, Any] = {"lease_owner": None, "lease_token": None, "lease_expires_at": None}


class SqlJobs:
    """The jobs that one transaction sees."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def _one(self, *where: Any, lock: bool = False) -> Row[Any] | None:
        query = select(_T).where(*where)
        return self._session.execute(query.with_for_update() if lock else query).one_or_none()

    def add(self, jobs: Sequence[NewJob]) -> None:
        rows = [_new_row(new) for new in jobs]
        register(self._session, [(row["worker"], row["lane"]) for row in rows])
        try:
            self._session.execute(insert(_T), rows)
        except IntegrityError as fault:
            raise AlreadyThere from fault
        needs = [
            {"depends_on": name, "job_id": new.job.job_id} for new in jobs for name in new.job.terms.depends_on
        ]  # fmt: skip
        if needs:
            self._session.execute(insert(_NEEDS), needs)

    def find(self, job_id: str) -> Job | None:
        row = self._one(_JOBS.job_id == job_id) if is_job_id(job_id) else None
        return None if row is None else job_of(row)

    def find_locked(self, job_id: str) -> Job | None:
        row = self._one(_JOBS.job_id == job_id, lock=True) if is_job_id(job_id) else None
        return None if row is None else job_of(row)

    def find_held(self, job_id: str, lease_token: str) -> Job | None:
        row = self._one(_JOBS.job_id == job_id, _JOBS.lease_token == lease_token)
        return None if row is None else job_of(row)

    def save(self, job: Job, *, lease_token: str | None = None, release: bool = False) -> bool:
        changes = _changes(job)
        register(self._session, [(job.worker, changes["lane"])])
        guard = [_JOBS.job_id == job.job_id, _JOBS.version == job.version]
        if lease_token is not None:
            guard.append(_JOBS.lease_token == lease_token)
        if release:
            changes |= _NO_LEASE
        written: Any = self._session.execute(update(_T).where(*guard).values(changes))
        return bool(written.rowcount)

    def save_all(self, jobs: Sequence[Job]) -> bool:
        statement = update(_T).where(_JOBS.job_id == bindparam("held_id"), _JOBS.version == bindparam("held_version"))
        rows = [_changes(job) | {"held_id": job.job_id, "held_version": job.version} for job in jobs]
        register(self._session, [(job.worker, row["lane"]) for job, row in zip(jobs, rows, strict=True)])
        written: Any = self._session.execute(statement, rows)
        return bool(written.rowcount == len(rows))

    def page(self, wanted: JobFilter, before: str | None, limit: int) -> list[Job]:
        query = select(_T).order_by(_JOBS.job_id.desc()).limit(limit)
        for column, value in (
            (_JOBS.kind, wanted.kind), (_JOBS.phase, wanted.phase), (_JOBS.project, wanted.project),
            (_JOBS.sweep, wanted.sweep),
        ):  # fmt: skip
            if value is not None:
                query = query.where(column == value)
        if wanted.model_id is not None:
            # An id is in no other text of the inputs. It has no index: such a list names a kind that has few jobs.
            query = query.where(type_coerce(_JOBS.inputs, Text).contains(wanted.model_id, autoescape=True))
        if before is not None:
            query = query.where(_JOBS.job_id < before)
        return [job_of(row) for row in self._session.execute(query)]

    def due(self, now: datetime, limit: int) -> list[str]:
        query = (
            select(_JOBS.job_id)
            .where(_JOBS.phase.in_(_LOOKED_AT), _JOBS.next_look_at <= now, is_free(now))
            .order_by(_JOBS.next_look_at)
            .limit(limit)
        )
        return list(self._session.scalars(query))

    def claim(self, job_ids: Sequence[str], lease: Lease) -> list[Leased]:
        # By primary key and skipping locked rows: replicas that race for the same jobs neither wait nor deadlock.
        # SQLite ignores the lock clause; there the whole transaction is exclusive (BEGIN IMMEDIATE).
        is_due = and_(_JOBS.phase.in_(_LOOKED_AT), _JOBS.next_look_at <= lease.now, is_free(lease.now))
        query = select(_T).where(_JOBS.job_id.in_(job_ids), is_due).with_for_update(skip_locked=True)
        return self._hold(self._session.execute(query).all(), lease)

    def claim_in_line(self, service: str, wanted: Mapping[Lane, int], lease: Lease) -> Mapping[Lane, list[Leased]]:
        # In the index's order and up to the limit, so that only what is taken stays locked, and replicas that planned
        # the same heads take one after the other of them.
        found = {}
        for lane, count in wanted.items():
            query = first_of_lane(list(_T.c), service, lane.key, is_free(lease.now), count)
            found[lane] = self._session.execute(query.with_for_update(skip_locked=True)).all()
        held = iter(self._hold([row for rows in found.values() for row in rows], lease))
        return {lane: list(islice(held, len(rows))) for lane, rows in found.items()}

    def _hold(self, rows: Sequence[Row[Any]], lease: Lease) -> list[Leased]:
        """Write the lease into rows that this transaction has locked."""
        token = token_hex(16)
        holder = {"lease_owner": lease.owner, "lease_token": token, "lease_expires_at": lease.until}
        if rows:
            self._session.execute(update(_T).where(_JOBS.job_id.in_([row.job_id for row in rows])).values(holder))
        return [Leased(job_of(row), token) for row in rows]

    def make_due(self, job_ids: Sequence[str], now: datetime) -> None:
        # The version goes up so that a look in progress notices, and looks again instead of putting the next one off.
        self._session.execute(
            update(_T)
            .where(_JOBS.job_id.in_(job_ids), _JOBS.phase.in_(sorted(WORKING)))
            .values(next_look_at=now, version=_JOBS.version + 1)
        )

    def release_all(self, owner: str) -> int:
        released: Any = self._session.execute(update(_T).where(_JOBS.lease_owner == owner).values(_NO_LEASE))
        return int(released.rowcount)

    def phases(self, job_ids: Sequence[str]) -> dict[str, Phase]:
        query = select(_JOBS.job_id, _JOBS.phase).where(_JOBS.job_id.in_(job_ids))
        return {job_id: Phase(phase) for job_id, phase in self._session.execute(query)}

    def wake_dependents(self, job_ids: Sequence[str], now: datetime) -> None:
        # Found first and then written by primary key: an UPDATE by sub-select would lock what it reads.
        dependents = list(self._session.scalars(select(_NEEDS.c.job_id).where(_NEEDS.c.depends_on.in_(job_ids))))
        if dependents:
            is_held = (_JOBS.job_id.in_(dependents), _JOBS.phase == Phase.QUEUED, _JOBS.lane.is_(None))
            changes = {"next_look_at": now, "version": _JOBS.version + 1}
            self._session.execute(update(_T).where(*is_held).values(changes))

    def count_queued(self) -> int:
        return self._session.scalar(select(func.count()).where(_JOBS.phase == Phase.QUEUED)) or 0


def _changes(job: Job) -> dict[str, Any]:
    return {name: value for name, value in row_of(job).items() if name in MUTABLE} | {"version": job.version + 1}


def _new_row(new: NewJob) -> dict[str, Any]:
    return (
        row_of(new.job)
        | _NO_LEASE
        | {
            "caller": new.caller,
            "idempotency_key": None if new.key is None else new.key.key,
            "request_hash": None if new.key is None else new.key.request_hash,
        }
    )


def is_free(now: datetime) -> Any:
    """Whether nobody holds a job's row at `now`."""
    return or_(_JOBS.lease_token.is_(None), _JOBS.lease_expires_at < now)
