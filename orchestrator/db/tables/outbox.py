"""Events on their way to the log, written with the move they tell of."""

from datetime import datetime

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base
from shared.contracts.base import JsonObject
from shared.kit.sql import JsonText, UtcDateTime, ascii_column


class OutboxRow(Base):
    """One event of producer `orchestrator`; numbered from 1 in each topic."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_due", "sent_at", "next_try_at"),)

    topic: Mapped[str] = mapped_column(ascii_column(136), primary_key=True)
    producer_seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    event_type: Mapped[str] = mapped_column(ascii_column(64))
    timestamp: Mapped[datetime] = mapped_column(UtcDateTime)
    attempt: Mapped[int]
    data: Mapped[JsonObject] = mapped_column(JsonText)
    after_drain: Mapped[bool]
    next_try_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
