"""Data sets with images, and models that take them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "o0012"
down_revision = "o0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both; nothing that there was has them."""
    exact = sa.String(64).with_variant(mysql.VARCHAR(64, charset="ascii", collation="ascii_bin"), "mysql")
    op.add_column("dataset_versions", sa.Column("images", exact))
    op.add_column("model_versions", sa.Column("takes_images", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Take them away."""
    op.drop_column("model_versions", "takes_images")
    op.drop_column("dataset_versions", "images")
