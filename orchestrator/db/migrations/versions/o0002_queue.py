"""Lanes and turns of the queue, the worker of an attempt, quotas of projects, audit."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "o0002"
down_revision = "o0001"
branch_labels = None
depends_on = None

_TABLE: Any = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}


def _exact(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql")


def _named(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql")


def _moment() -> sa.DateTime:
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")


def _json() -> sa.Text:
    return sa.Text().with_variant(mysql.LONGTEXT(), "mysql")


def _extend_jobs() -> None:
    # All of them may be null: a job that an older version wrote has no lane, is looked at, and enters the line then.
    op.add_column("jobs", sa.Column("terms", _json()))
    op.add_column("jobs", sa.Column("turn", _moment()))
    op.add_column("jobs", sa.Column("lane", _exact(320)))
    op.add_column("jobs", sa.Column("sweep", _exact(32)))
    op.add_column("jobs", sa.Column("placed_on", _exact(96)))
    op.drop_index("ix_jobs_queue", "jobs")
    op.create_index("ix_jobs_line", "jobs", ["phase", "worker", "lane", "turn", "job_id"])
    op.create_index("ix_jobs_list_phase", "jobs", ["kind", "phase", "job_id"])
    op.add_column("attempts", sa.Column("worker", _exact(96)))
    op.execute("UPDATE attempts SET worker = (SELECT worker FROM jobs WHERE jobs.job_id = attempts.job_id)")
    op.execute("UPDATE jobs SET placed_on = worker WHERE attempt > 0")


def _make_quotas() -> None:
    op.create_table(
        "project_quotas",
        sa.Column("project", _exact(96), nullable=False),
        sa.Column("max_running", sa.Integer),
        sa.Column("max_queued", sa.Integer),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.Column("updated_by", _named(128), nullable=False),
        sa.PrimaryKeyConstraint("project", name="pk_project_quotas"),
        **_TABLE,
    )


def _make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("who", _named(128), nullable=False),
        sa.Column("action", _exact(48), nullable=False),
        sa.Column("subject", _exact(160), nullable=False),
        sa.Column("before", _json()),
        sa.Column("after", _json()),
        sa.PrimaryKeyConstraint("entry_id", name="pk_audit"),
        **_TABLE,
    )
    op.create_index("ix_audit_subject", "audit", ["subject", "entry_id"])


def upgrade() -> None:
    """Add them; jobs in the queue stay in it."""
    _extend_jobs()
    _make_quotas()
    _make_audit()


def downgrade() -> None:
    """Take them away."""
    op.drop_table("audit")
    op.drop_table("project_quotas")
    op.drop_column("attempts", "worker")
    op.drop_index("ix_jobs_list_phase", "jobs")
    op.drop_index("ix_jobs_line", "jobs")
    op.create_index("ix_jobs_queue", "jobs", ["phase", "worker", "priority", "job_id"])
    for column in ("placed_on", "sweep", "lane", "turn", "terms"):
        op.drop_column("jobs", column)
