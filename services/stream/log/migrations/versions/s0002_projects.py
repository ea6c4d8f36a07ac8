"""A topic remembers the project it belongs to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "s0002"
down_revision = "s0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Logs that began before belong to none until an event names one."""
    exact = sa.String(96).with_variant(mysql.VARCHAR(96, charset="ascii", collation="ascii_bin"), "mysql")
    op.add_column("topics", sa.Column("project", exact))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("topics", "project")
