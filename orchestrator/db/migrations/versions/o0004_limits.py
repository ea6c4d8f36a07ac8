"""Verdicts on attempts, and dependencies between jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "o0004"
down_revision = "o0003"
branch_labels = None
depends_on = None


def _exact(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql")


def upgrade() -> None:
    """Add them."""
    op.add_column("attempts", sa.Column("verdict", sa.Text().with_variant(mysql.LONGTEXT(), "mysql")))
    op.create_table(
        "dependencies",
        sa.Column("depends_on", _exact(32), nullable=False),
        sa.Column("job_id", _exact(32), nullable=False),
        sa.PrimaryKeyConstraint("depends_on", "job_id", name="pk_dependencies"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("dependencies")
    op.drop_column("attempts", "verdict")
