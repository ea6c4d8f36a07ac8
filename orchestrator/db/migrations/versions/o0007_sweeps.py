"""Sweeps, and which trial of one a job is."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "o0007"
down_revision = "o0006"
branch_labels = None
depends_on = None


def _exact(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql")


def _named(length: int) -> sa.String:
    return sa.String(length).with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql")


def _json() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(mysql.LONGTEXT(), "mysql")


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "sweeps",
        sa.Column("sweep_id", _exact(32), nullable=False),
        sa.Column("kind", _exact(16), nullable=False),
        sa.Column("project", _exact(96), nullable=False),
        sa.Column("name", _exact(96)),
        sa.Column("spec", _json(), nullable=False),
        sa.Column("trials", sa.Integer(), nullable=False),
        sa.Column("parallelism", sa.Integer()),
        sa.Column("created_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=False),
        sa.Column("created_by", _named(128), nullable=False),
        sa.Column("idempotency_key", _exact(255)),
        sa.Column("request_hash", _exact(64)),
        sa.PrimaryKeyConstraint("sweep_id", name="pk_sweeps"),
        sa.UniqueConstraint("created_by", "idempotency_key", name="uq_sweeps_created_by_idempotency_key"),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )
    op.create_index("ix_sweeps_list", "sweeps", ["project", "sweep_id"])
    op.add_column("jobs", sa.Column("trial", sa.Integer()))
    op.add_column("jobs", sa.Column("parameters", _json()))
    op.create_index("ix_jobs_sweep", "jobs", ["sweep", "phase", "job_id"])


def downgrade() -> None:
    """Take them away; the jobs stay."""
    op.drop_index("ix_jobs_sweep", "jobs")
    op.drop_column("jobs", "parameters")
    op.drop_column("jobs", "trial")
    op.drop_table("sweeps")
