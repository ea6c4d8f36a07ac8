"""API keys, by hash only."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base
from shared.kit.sql import UtcDateTime, ascii_column


class ApiKeyRow(Base):
    """One key; a revoked one stays as a record and admits nobody."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(ascii_column(32), primary_key=True)
    name: Mapped[str] = mapped_column(ascii_column(96), index=True)
    key_hash: Mapped[str] = mapped_column(ascii_column(64), unique=True)
    is_admin: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
