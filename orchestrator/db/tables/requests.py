"""Requests that came with an Idempotency-Key and made no job."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base, exact_text
from shared.kit.sql import UtcDateTime, ascii_column


class RequestRow(Base):
    """One answered request; those for jobs lie in the jobs' rows."""

    __tablename__ = "requests"
    __table_args__ = (Index("ix_requests_at", "at"),)

    caller: Mapped[str] = mapped_column(exact_text(128), primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(ascii_column(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(ascii_column(64))
    subject: Mapped[str] = mapped_column(ascii_column(160))
    """What it made, as `kind:id`."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
