"""What operators said about workers."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base, exact_text
from shared.kit.sql import UtcDateTime, ascii_column


class WorkerRow(Base):
    """One worker's ruling; a worker without a row is active."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(ascii_column(96), primary_key=True)
    state: Mapped[str] = mapped_column(ascii_column(16))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[str] = mapped_column(exact_text(128))
