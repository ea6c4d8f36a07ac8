"""The lanes in which jobs stand."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "o0008"
down_revision = "o0007"
branch_labels = None
depends_on = None


def _exact(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql")


def upgrade() -> None:
    """Name those that hold a job; what an older replica puts in line during the upgrade is found by the tidying."""
    op.create_table(
        "lanes",
        sa.Column("service", _exact(16), nullable=False),
        sa.Column("lane", _exact(320), nullable=False),
        sa.PrimaryKeyConstraint("service", "lane", name="pk_lanes"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    op.execute(
        "INSERT INTO lanes (service, lane) SELECT DISTINCT worker, lane FROM jobs "
        "WHERE phase = 'queued' AND lane IS NOT NULL"
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("lanes")
