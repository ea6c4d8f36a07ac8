"""Every move of every job."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base, serial
from orchestrator.db.tables.jobs import LONG_TEXT
from shared.kit.sql import UtcDateTime, ascii_column


class HistoryRow(Base):
    """One move; rows are only ever added."""

    __tablename__ = "history"
    __table_args__ = (Index("ix_history_job", "job_id", "entry_id"),)

    entry_id: Mapped[int] = mapped_column(serial(), primary_key=True)
    job_id: Mapped[str] = mapped_column(ascii_column(32), ForeignKey("jobs.job_id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    from_phase: Mapped[str | None] = mapped_column(ascii_column(16))
    to_phase: Mapped[str] = mapped_column(ascii_column(16))
    why: Mapped[str] = mapped_column(LONG_TEXT)
    attempt: Mapped[int]
