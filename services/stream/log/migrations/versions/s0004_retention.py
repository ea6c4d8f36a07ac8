"""When topics ended, what retention made of them, and each project's policy."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "s0004"
down_revision = "s0003"
branch_labels = None
depends_on = None


def _exact(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql")


def _moment() -> sa.DateTime:
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


def upgrade() -> None:
    """A topic that has ended already did so when it was last written to."""
    op.add_column("topics", sa.Column("ended_at", _moment()))
    op.add_column("topics", sa.Column("state", _exact(8), nullable=False, server_default="whole"))
    op.add_column("topics", sa.Column("compacted_through", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("topics", sa.Column("curve_width", sa.BigInteger))
    op.execute("UPDATE topics SET ended_at = updated_at WHERE is_ended = 1")
    op.create_index("ix_topics_retention", "topics", ["state", "project", "ended_at"])
    op.create_table(
        "retention",
        sa.Column("project", _exact(96), nullable=False),
        sa.Column("action", _exact(8), nullable=False),
        sa.Column("after_days", sa.Integer, nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("project", name="pk_retention"),
        mysql_engine="InnoDB",
    )


def downgrade() -> None:
    """Forget the policies; what was shortened stays short."""
    op.drop_table("retention")
    op.drop_index("ix_topics_retention", "topics")
    for column in ("curve_width", "compacted_through", "state", "ended_at"):
        op.drop_column("topics", column)
