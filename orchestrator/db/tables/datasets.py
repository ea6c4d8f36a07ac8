"""Data sets by name, and their versions."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base
from shared.kit.sql import UtcDateTime, ascii_column


class DatasetRow(Base):
    """A name and the newest number under it; whoever adds a version holds this row."""

    __tablename__ = "datasets"

    name: Mapped[str] = mapped_column(ascii_column(96), primary_key=True)
    newest: Mapped[int]


class DatasetVersionRow(Base):
    """One immutable version."""

    __tablename__ = "dataset_versions"
    __table_args__ = (UniqueConstraint("name", "version"), UniqueConstraint("name", "sha256"))

    dataset_id: Mapped[str] = mapped_column(ascii_column(32), primary_key=True)
    name: Mapped[str] = mapped_column(ascii_column(96), ForeignKey("datasets.name"))
    version: Mapped[int]
    rows: Mapped[int] = mapped_column("row_count")
    format: Mapped[str] = mapped_column(ascii_column(16))
    sha256: Mapped[str] = mapped_column(ascii_column(64))
    images: Mapped[str | None] = mapped_column(ascii_column(64))
    """Manifest of the folder that holds the rows' images."""
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
