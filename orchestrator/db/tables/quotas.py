"""How many jobs of a project may run and wait."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base, exact_text
from shared.kit.sql import UtcDateTime, ascii_column


class ProjectQuotaRow(Base):
    """One project's bounds; whoever starts a job of the project holds this row."""

    __tablename__ = "project_quotas"

    project: Mapped[str] = mapped_column(ascii_column(96), primary_key=True)
    max_running: Mapped[int | None]
    max_queued: Mapped[int | None]
    version: Mapped[int]
    """Goes up with every change."""
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by: Mapped[str] = mapped_column(exact_text(128))
