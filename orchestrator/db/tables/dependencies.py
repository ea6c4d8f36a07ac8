"""Which jobs wait for which."""

from sqlalchemy.orm import Mapped, mapped_column

from orchestrator.db.tables.base import Base
from shared.kit.sql import ascii_column


class DependencyRow(Base):
    """One job that another depends on; found by the one that ends."""

    __tablename__ = "dependencies"

    depends_on: Mapped[str] = mapped_column(ascii_column(32), primary_key=True)
    job_id: Mapped[str] = mapped_column(ascii_column(32), primary_key=True)
