"""The log's tables."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Insert, Integer, Table, Text, insert
from sqlalchemy.dialects import mysql

from shared.kit.sql import JsonText, UtcDateTime, ascii_column, exact_column, new_metadata

metadata = new_metadata()

WHOLE, THINNING, THINNED, DELETING, DELETED = "whole", "thinning", "thinned", "deleting", "deleted"
"""What retention has made of a topic. A deleted one keeps its row, which refuses whoever comes back."""
GONE = frozenset({DELETING, DELETED})

topics = Table(
    "topics",
    metadata,
    Column("topic", ascii_column(136), primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("is_ended", Boolean, nullable=False),
    Column("figures", JsonText),
    Column("project", ascii_column(96)),
    Column("ended_at", UtcDateTime),
    Column("state", ascii_column(8), nullable=False, server_default=WHOLE),
    Column("compacted_through", BigInteger, nullable=False, server_default="0"),
    Column("curve_width", BigInteger),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("ix_topics_retention", "state", "project", "ended_at"),
)

retention = Table(
    "retention",
    metadata,
    Column("project", ascii_column(96), primary_key=True),
    Column("action", ascii_column(8), nullable=False),
    Column("after_days", Integer, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("topic", ascii_column(136), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event_type", ascii_column(64), nullable=False),
    Column("attempt", Integer),
    Column("step", BigInteger),
    Column("timestamp", UtcDateTime, nullable=False),
    Column("producer", ascii_column(128), nullable=False),
    Column("producer_seq", BigInteger, nullable=False),
    Column("data", Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql"),
           nullable=False),
    Index("ix_events_topic_step", "topic", "step"),
)  # fmt: skip

curves = Table(
    "curves",
    metadata,
    Column("topic", ascii_column(136), primary_key=True),
    Column("width", BigInteger, primary_key=True, autoincrement=False),
    Column("figure", exact_column(128), primary_key=True),
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("data", Text().with_variant(mysql.MEDIUMTEXT(charset="ascii"), "mysql"), nullable=False),
)
"""Buckets of `width` steps, some of one figure a row; `place` counts rows from step 0."""

curve_marks = Table(
    "curve_marks",
    metadata,
    Column("topic", ascii_column(136), primary_key=True),
    Column("width", BigInteger, primary_key=True, autoincrement=False),
    Column("figure", exact_column(128), primary_key=True),
    Column("through", BigInteger, nullable=False),
)
"""How far in its topic a figure has been derived."""

producers = Table(
    "producers",
    metadata,
    Column("topic", ascii_column(136), primary_key=True),
    Column("producer", ascii_column(128), primary_key=True),
    Column("accepted_through", BigInteger, nullable=False),
    Column("sealed_at", BigInteger),
)


def insert_missing(table: Table) -> Insert:
    """For rows that may be there already: those stay as they are."""
    return insert(table).prefix_with("IGNORE", dialect="mysql").prefix_with("OR IGNORE", dialect="sqlite")
