"""Lanes in which jobs may stand, so that a look at the queue finds them without reading the line."""

from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base
from shared.kit.sql import ascii_column


class LaneRow(Base):
    """A lane of one service; whoever puts a job in line holds its row, shared, so that it stays."""

    __tablename__ = "lanes"

    service: Mapped[str] = mapped_column(ascii_column(16), primary_key=True)
    lane: Mapped[str] = mapped_column(ascii_column(320), primary_key=True)
