"""Curves derived from the log, and how far."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "s0003"
down_revision = "s0002"
branch_labels = None
depends_on = None


def _columns() -> list[sa.Column[object]]:
    topic = sa.String(136).with_variant(mysql.VARCHAR(136, charset="ascii", collation="ascii_bin"), "mysql")
    figure = sa.String(128).with_variant(mysql.VARCHAR(128, charset="utf8mb4", collation="utf8mb4_bin"), "mysql")
    return [
        sa.Column("topic", topic, nullable=False),
        sa.Column("width", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("figure", figure, nullable=False),
    ]


def upgrade() -> None:
    """Make both tables; they fill when somebody asks for a curve."""
    op.create_table(
        "curves",
        *_columns(),
        sa.Column("place", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("data", sa.Text().with_variant(mysql.MEDIUMTEXT(charset="ascii"), "mysql"), nullable=False),
        sa.PrimaryKeyConstraint("topic", "width", "figure", "place", name="pk_curves"),
        mysql_engine="InnoDB",
    )
    op.create_table(
        "curve_marks",
        *_columns(),
        sa.Column("through", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("topic", "width", "figure", name="pk_curve_marks"),
        mysql_engine="InnoDB",
    )


def downgrade() -> None:
    """Drop them; the log still has everything."""
    op.drop_table("curve_marks")
    op.drop_table("curves")
