"""Topics, their events, and how far each producer has come."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "s0001"
down_revision = None
branch_labels = None
depends_on = None


def _exact(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql")


def _moment() -> sa.DateTime:
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "topics",
        sa.Column("topic", _exact(136), nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("is_ended", sa.Boolean, nullable=False),
        sa.Column("figures", sa.Text().with_variant(mysql.LONGTEXT(charset="utf8mb4"), "mysql")),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("topic", name="pk_topics"),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "events",
        sa.Column("topic", _exact(136), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("event_type", _exact(64), nullable=False),
        sa.Column("attempt", sa.Integer),
        sa.Column("step", sa.BigInteger),
        sa.Column("timestamp", _moment(), nullable=False),
        sa.Column("producer", _exact(128), nullable=False),
        sa.Column("producer_seq", sa.BigInteger, nullable=False),
        sa.Column(
            "data",
            sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("topic", "seq", name="pk_events"),
        mysql_engine="InnoDB",
    )
    op.create_index("ix_events_topic_step", "events", ["topic", "step"])
    op.create_table(
        "producers",
        sa.Column("topic", _exact(136), nullable=False),
        sa.Column("producer", _exact(128), nullable=False),
        sa.Column("accepted_through", sa.BigInteger, nullable=False),
        sa.Column("sealed_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("topic", "producer", name="pk_producers"),
        mysql_engine="InnoDB",
    )


def downgrade() -> None:
    """Drop the log, and with it every event."""
    op.drop_table("producers")
    op.drop_table("events")
    op.drop_table("topics")
