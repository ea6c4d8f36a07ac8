"""Models by name, and their versions."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base
from shared.kit.sql import UtcDateTime, ascii_column


class ModelRow(Base):
    """A name and the newest number under it; whoever adds a version holds this row."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(ascii_column(96), primary_key=True)
    newest: Mapped[int]


class ModelVersionRow(Base):
    """One immutable version."""

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("name", "version"),)

    model_id: Mapped[str] = mapped_column(ascii_column(32), primary_key=True)
    name: Mapped[str] = mapped_column(ascii_column(96), ForeignKey("models.name"))
    version: Mapped[int]
    base: Mapped[str] = mapped_column(ascii_column(64))
    adapter: Mapped[str | None] = mapped_column(ascii_column(64))
    template: Mapped[str] = mapped_column(ascii_column(48))
    parameters: Mapped[int | None] = mapped_column(BigInteger)
    base_model: Mapped[str | None] = mapped_column(ascii_column(160))
    job_id: Mapped[str | None] = mapped_column(ascii_column(32), index=True)
    purpose: Mapped[str] = mapped_column(ascii_column(16), server_default="chat")
    """A `ModelPurpose`."""
    takes_images: Mapped[bool] = mapped_column(server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
