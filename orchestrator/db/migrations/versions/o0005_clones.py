"""Which job a job is a clone of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "o0005"
down_revision = "o0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it."""
    exact = sa.String(32).with_variant(mysql.VARCHAR(32, charset="ascii", collation="ascii_bin"), "mysql")
    op.add_column("jobs", sa.Column("cloned_from", exact))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("jobs", "cloned_from")
