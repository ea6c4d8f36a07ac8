"""Attempts at jobs."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base
from shared.contracts.base import JsonObject
from shared.kit.sql import JsonText, UtcDateTime, ascii_column


class AttemptRow(Base):
    """One try at a job."""

    __tablename__ = "attempts"

    job_id: Mapped[str] = mapped_column(ascii_column(32), ForeignKey("jobs.job_id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cause: Mapped[str] = mapped_column(ascii_column(16))
    worker: Mapped[str | None] = mapped_column(ascii_column(96))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    verdict: Mapped[JsonObject | None] = mapped_column(JsonText)
    """Why it is being ended although it runs."""
    exit: Mapped[JsonObject | None] = mapped_column(JsonText)
    """The worker's report, artifacts included."""
