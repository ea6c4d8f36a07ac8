"""Jobs: what was asked, where it stands, who looks after it."""

from datetime import datetime

from sqlalchemy import BigInteger, Double, Index, Text, UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base, exact_text
from shared.contracts.base import JsonObject
from shared.kit.sql import JsonText, UtcDateTime, ascii_column

LONG_TEXT = Text().with_variant(mysql.MEDIUMTEXT(), "mysql")


class JobRow(Base):
    """One job; ids sort by the time they were made."""

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("caller", "idempotency_key"),
        Index("ix_jobs_due", "phase", "next_look_at"),
        Index("ix_jobs_line", "phase", "worker", "lane", "turn", "job_id"),
        Index("ix_jobs_list", "kind", "job_id"),
        Index("ix_jobs_list_phase", "kind", "phase", "job_id"),
        Index("ix_jobs_list_project", "project", "job_id"),
        Index("ix_jobs_sweep", "sweep", "phase", "job_id"),
    )

    job_id: Mapped[str] = mapped_column(ascii_column(32), primary_key=True)
    kind: Mapped[str] = mapped_column(ascii_column(16))
    worker: Mapped[str] = mapped_column(ascii_column(16))
    project: Mapped[str] = mapped_column(ascii_column(96))
    caller: Mapped[str] = mapped_column(exact_text(128))
    idempotency_key: Mapped[str | None] = mapped_column(ascii_column(255))
    request_hash: Mapped[str | None] = mapped_column(ascii_column(64))
    """Of the request that came with the key."""
    spec: Mapped[JsonObject] = mapped_column(JsonText)
    inputs: Mapped[JsonObject] = mapped_column(JsonText)
    phase: Mapped[str] = mapped_column(ascii_column(16))
    why: Mapped[str] = mapped_column(LONG_TEXT)
    priority: Mapped[int]
    terms: Mapped[JsonObject | None] = mapped_column(JsonText)
    """What the request asks of queue and worker."""
    turn: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lane: Mapped[str | None] = mapped_column(ascii_column(320))
    """Jobs of a lane are alike to the queue; null while the job does not stand in line."""
    sweep: Mapped[str | None] = mapped_column(ascii_column(32))
    trial: Mapped[int | None]
    parameters: Mapped[JsonObject | None] = mapped_column(JsonText)
    """Of the trial; null where there are none."""
    placed_on: Mapped[str | None] = mapped_column(ascii_column(96))
    """Which worker has the newest attempt."""
    attempt: Mapped[int]
    next_cause: Mapped[str] = mapped_column(ascii_column(16))
    max_retries: Mapped[int]
    retries_spent: Mapped[int]
    current_step: Mapped[int] = mapped_column(BigInteger)
    total_steps: Mapped[int | None] = mapped_column(BigInteger)
    fraction: Mapped[float] = mapped_column(Double)
    metrics: Mapped[JsonObject] = mapped_column(JsonText)
    result: Mapped[JsonObject] = mapped_column(JsonText)
    failure: Mapped[JsonObject | None] = mapped_column(JsonText)
    retry_of: Mapped[str | None] = mapped_column(ascii_column(32))
    cloned_from: Mapped[str | None] = mapped_column(ascii_column(32))
    traceparent: Mapped[str | None] = mapped_column(ascii_column(64))
    unreachable_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    event_seq: Mapped[int] = mapped_column(BigInteger)
    """Number of the last event in the outbox about this job."""
    next_look_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_owner: Mapped[str | None] = mapped_column(exact_text(128))
    lease_token: Mapped[str | None] = mapped_column(ascii_column(32))
    lease_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(BigInteger)
    """Goes up with every write; a write names the version it read."""
