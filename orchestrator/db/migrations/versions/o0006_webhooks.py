"""Webhooks, and messages to them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "o0006"
down_revision = "o0005"
branch_labels = None
depends_on = None


def _exact(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql")


def _named(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql")


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=nullable)


def _long(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql"), nullable=nullable)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "webhooks",
        sa.Column("webhook_id", _exact(32), nullable=False),
        sa.Column("url", _exact(2048), nullable=False),
        sa.Column("events", sa.Text().with_variant(mysql.LONGTEXT(), "mysql"), nullable=False),
        sa.Column("project", _exact(96)),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("secret", _exact(256), nullable=False),
        sa.Column("earlier_secret", _exact(256)),
        _time("earlier_until", nullable=True),
        _time("failing_since", nullable=True),
        _long("disabled_because", nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        _time("created_at"),
        sa.Column("created_by", _named(128), nullable=False),
        _time("updated_at"),
        sa.Column("caller", _named(128)),
        sa.Column("idempotency_key", _exact(255)),
        sa.Column("request_hash", _exact(64)),
        sa.PrimaryKeyConstraint("webhook_id", name="pk_webhooks"),
        sa.UniqueConstraint("caller", "idempotency_key", name="uq_webhooks_caller_idempotency_key"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("delivery_id", _exact(32), nullable=False),
        sa.Column("webhook_id", _exact(32), nullable=False),
        sa.Column("subject", _exact(32), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("event_type", _exact(64), nullable=False),
        _long("body"),
        _time("created_at"),
        _time("next_try_at"),
        sa.Column("status", _exact(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_status", sa.Integer()),
        _long("last_error", nullable=True),
        _time("ended_at", nullable=True),
        sa.Column("lease_owner", _named(128)),
        sa.Column("lease_token", _exact(32)),
        _time("lease_expires_at", nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_webhook_deliveries"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    op.create_index("ix_deliveries_due", "webhook_deliveries", ["webhook_id", "status", "next_try_at"])
    op.create_index("ix_deliveries_order", "webhook_deliveries", ["webhook_id", "subject", "status", "sequence"])
    op.create_index("ix_deliveries_age", "webhook_deliveries", ["created_at"])


def downgrade() -> None:
    """Drop them: nobody is told any more."""
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
