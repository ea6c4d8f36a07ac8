"""What operators said about workers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "o0003"
down_revision = "o0002"
branch_labels = None
depends_on = None


def _exact(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql")


def _named(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "workers",
        sa.Column("name", _exact(96), nullable=False),
        sa.Column("state", _exact(16), nullable=False),
        sa.Column("changed_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=False),
        sa.Column("changed_by", _named(128), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_workers"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )


def downgrade() -> None:
    """Drop it: every worker is active again."""
    op.drop_table("workers")
