"""Jobs that were deleted here, and not yet everywhere."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "o0010"
down_revision = "o0009"
branch_labels = None
depends_on = None


def _time() -> sa.DateTime:
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


def upgrade() -> None:
    """Add them."""
    job_id = sa.String(32).with_variant(mysql.VARCHAR(32, charset="ascii", collation="ascii_bin"), "mysql")
    op.create_table(
        "deletions",
        sa.Column("job_id", job_id, nullable=False),
        sa.Column("asked_at", _time(), nullable=False),
        sa.Column("next_try_at", _time(), nullable=False),
        sa.Column("has_log", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Text().with_variant(mysql.LONGTEXT(), "mysql"), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_deletions"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    op.create_index("ix_deletions_next_try_at", "deletions", ["next_try_at"])


def downgrade() -> None:
    """Take them away."""
    op.drop_table("deletions")
