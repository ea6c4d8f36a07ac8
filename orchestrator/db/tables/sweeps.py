"""Sweeps: what was asked; where one is, its jobs say."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base, exact_text
from shared.contracts.base import JsonObject
from shared.kit.sql import JsonText, UtcDateTime, ascii_column


class SweepRow(Base):
    """One sweep; whoever starts a job of it holds this row."""

    __tablename__ = "sweeps"
    __table_args__ = (UniqueConstraint("created_by", "idempotency_key"), Index("ix_sweeps_list", "project", "sweep_id"))

    sweep_id: Mapped[str] = mapped_column(ascii_column(32), primary_key=True)
    kind: Mapped[str] = mapped_column(ascii_column(16))
    project: Mapped[str] = mapped_column(ascii_column(96))
    name: Mapped[str | None] = mapped_column(ascii_column(96))
    spec: Mapped[JsonObject] = mapped_column(JsonText)
    trials: Mapped[int]
    parallelism: Mapped[int | None]
    """The most of its jobs that may be at work at once."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(exact_text(128))
    idempotency_key: Mapped[str | None] = mapped_column(ascii_column(255))
    request_hash: Mapped[str | None] = mapped_column(ascii_column(64))
    """These two are written by nobody since keys lie in `requests`; they go when the next era of revisions begins."""
