"""Who changed what."""

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base, exact_text, serial
from shared.contracts.base import JsonObject
from shared.kit.sql import JsonText, UtcDateTime, ascii_column


class AuditRow(Base):
    """One change; rows are only ever added."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_subject", "subject", "entry_id"),)

    entry_id: Mapped[int] = mapped_column(serial(), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    who: Mapped[str] = mapped_column(exact_text(128))
    action: Mapped[str] = mapped_column(ascii_column(48))
    subject: Mapped[str] = mapped_column(ascii_column(160))
    """What was changed, as `kind:name`."""
    before: Mapped[JsonObject | None] = mapped_column(JsonText)
    after: Mapped[JsonObject | None] = mapped_column(JsonText)
