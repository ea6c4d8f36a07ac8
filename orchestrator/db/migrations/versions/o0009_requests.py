"""Requests that came with a key and made no job."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "o0009"
down_revision = "o0008"
branch_labels = None
depends_on = None


def _text(length: int, charset: str = "ascii") -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset=charset, collation=f"{charset}_bin"), "mysql")


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "requests",
        sa.Column("caller", _text(128, "utf8mb4"), nullable=False),
        sa.Column("idempotency_key", _text(255), nullable=False),
        sa.Column("request_hash", _text(64), nullable=False),
        sa.Column("subject", _text(160), nullable=False),
        sa.Column("at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=False),
        sa.PrimaryKeyConstraint("caller", "idempotency_key", name="pk_requests"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    op.create_index("ix_requests_at", "requests", ["at"])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("requests")
