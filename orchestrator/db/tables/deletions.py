"""Jobs that were deleted here, and not yet everywhere."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base
from shared.kit.sql import JsonText, UtcDateTime, ascii_column


class DeletionRow(Base):
    """What workers and the log still have of one job."""

    __tablename__ = "deletions"
    __table_args__ = (Index("ix_deletions_next_try_at", "next_try_at"),)

    job_id: Mapped[str] = mapped_column(ascii_column(32), primary_key=True)
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_try_at: Mapped[datetime] = mapped_column(UtcDateTime)
    has_log: Mapped[bool]
    attempts: Mapped[dict[str, str]] = mapped_column(JsonText)
    """Attempt ids, and the worker of each."""
    tries: Mapped[int]
