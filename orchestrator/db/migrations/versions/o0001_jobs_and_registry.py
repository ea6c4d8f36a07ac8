"""Jobs, attempts, history and the outbox; data sets, models and keys."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "o0001"
down_revision = None
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


def _prose() -> sa.Text:
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")


def _make_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("job_id", _exact(32), nullable=False),
        sa.Column("kind", _exact(16), nullable=False),
        sa.Column("worker", _exact(16), nullable=False),
        sa.Column("project", _exact(96), nullable=False),
        sa.Column("caller", _named(128), nullable=False),
        sa.Column("idempotency_key", _exact(255)),
        sa.Column("request_hash", _exact(64)),
        sa.Column("spec", _json(), nullable=False),
        sa.Column("inputs", _json(), nullable=False),
        sa.Column("phase", _exact(16), nullable=False),
        sa.Column("why", _prose(), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("next_cause", _exact(16), nullable=False),
        sa.Column("max_retries", sa.Integer, nullable=False),
        sa.Column("retries_spent", sa.Integer, nullable=False),
        sa.Column("current_step", sa.BigInteger, nullable=False),
        sa.Column("total_steps", sa.BigInteger),
        sa.Column("fraction", sa.Double, nullable=False),
        sa.Column("metrics", _json(), nullable=False),
        sa.Column("result", _json(), nullable=False),
        sa.Column("failure", _json()),
        sa.Column("retry_of", _exact(32)),
        sa.Column("traceparent", _exact(64)),
        sa.Column("unreachable_since", _moment()),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.Column("started_at", _moment()),
        sa.Column("ended_at", _moment()),
        sa.Column("event_seq", sa.BigInteger, nullable=False),
        sa.Column("next_look_at", _moment()),
        sa.Column("lease_owner", _named(128)),
        sa.Column("lease_token", _exact(32)),
        sa.Column("lease_expires_at", _moment()),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_jobs"),
        sa.UniqueConstraint("caller", "idempotency_key", name="uq_jobs_caller_idempotency_key"),
        **_TABLE,
    )
    op.create_index("ix_jobs_due", "jobs", ["phase", "next_look_at"])
    op.create_index("ix_jobs_queue", "jobs", ["phase", "worker", "priority", "job_id"])
    op.create_index("ix_jobs_list", "jobs", ["kind", "job_id"])
    op.create_index("ix_jobs_list_project", "jobs", ["project", "job_id"])


def _make_attempts_and_history() -> None:
    op.create_table(
        "attempts",
        sa.Column("job_id", _exact(32), nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("cause", _exact(16), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("ended_at", _moment()),
        sa.Column("exit", _json()),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_attempts"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_attempts_job_id"),
        **_TABLE,
    )
    op.create_table(
        "history",
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("job_id", _exact(32), nullable=False),
        sa.Column("at", _moment(), nullable=False),
        sa.Column("from_phase", _exact(16)),
        sa.Column("to_phase", _exact(16), nullable=False),
        sa.Column("why", _prose(), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name="pk_history"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_history_job_id"),
        **_TABLE,
    )
    op.create_index("ix_history_job", "history", ["job_id", "entry_id"])


def _make_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("topic", _exact(136), nullable=False),
        sa.Column("producer_seq", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("event_type", _exact(64), nullable=False),
        sa.Column("timestamp", _moment(), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("data", _json(), nullable=False),
        sa.Column("after_drain", sa.Boolean, nullable=False),
        sa.Column("next_try_at", _moment(), nullable=False),
        sa.Column("sent_at", _moment()),
        sa.PrimaryKeyConstraint("topic", "producer_seq", name="pk_outbox"),
        **_TABLE,
    )
    op.create_index("ix_outbox_due", "outbox", ["sent_at", "next_try_at"])


def _make_datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("name", _exact(96), nullable=False),
        sa.Column("newest", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_datasets"),
        **_TABLE,
    )
    op.create_table(
        "dataset_versions",
        sa.Column("dataset_id", _exact(32), nullable=False),
        sa.Column("name", _exact(96), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column("format", _exact(16), nullable=False),
        sa.Column("sha256", _exact(64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", name="pk_dataset_versions"),
        sa.ForeignKeyConstraint(["name"], ["datasets.name"], name="fk_dataset_versions_name"),
        sa.UniqueConstraint("name", "version", name="uq_dataset_versions_name_version"),
        sa.UniqueConstraint("name", "sha256", name="uq_dataset_versions_name_sha256"),
        **_TABLE,
    )


def _make_models() -> None:
    op.create_table(
        "models",
        sa.Column("name", _exact(96), nullable=False),
        sa.Column("newest", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_models"),
        **_TABLE,
    )
    op.create_table(
        "model_versions",
        sa.Column("model_id", _exact(32), nullable=False),
        sa.Column("name", _exact(96), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("base", _exact(64), nullable=False),
        sa.Column("adapter", _exact(64)),
        sa.Column("template", _exact(48), nullable=False),
        sa.Column("parameters", sa.BigInteger),
        sa.Column("base_model", _exact(160)),
        sa.Column("job_id", _exact(32)),
        sa.Column("created_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("model_id", name="pk_model_versions"),
        sa.ForeignKeyConstraint(["name"], ["models.name"], name="fk_model_versions_name"),
        sa.UniqueConstraint("name", "version", name="uq_model_versions_name_version"),
        **_TABLE,
    )
    op.create_index("ix_model_versions_job_id", "model_versions", ["job_id"])


def _make_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", _exact(32), nullable=False),
        sa.Column("name", _exact(96), nullable=False),
        sa.Column("key_hash", _exact(64), nullable=False),
        sa.Column("is_admin", sa.Boolean, nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("revoked_at", _moment()),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("key_hash", name="uq_api_keys_key_hash"),
        **_TABLE,
    )
    op.create_index("ix_api_keys_name", "api_keys", ["name"])


def upgrade() -> None:
    """Make every table."""
    _make_jobs()
    _make_attempts_and_history()
    _make_outbox()
    _make_datasets()
    _make_models()
    _make_keys()


def downgrade() -> None:
    """Drop them, those that others point at last."""
    for table in ("api_keys", "model_versions", "models", "dataset_versions", "datasets", "outbox"):
        op.drop_table(table)
    for table in ("history", "attempts", "jobs"):
        op.drop_table(table)
