"""What a model is made to do."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "o0011"
down_revision = "o0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; all that there were write text."""
    exact = sa.String(16).with_variant(mysql.VARCHAR(16, charset="ascii", collation="ascii_bin"), "mysql")
    op.add_column("model_versions", sa.Column("purpose", exact, nullable=False, server_default="chat"))


def downgrade() -> None:
    """Take it away."""
    op.drop_column("model_versions", "purpose")
