"""The log's tables."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text
from sqlalchemy.dialects import mysql

from shared.kit.sql import JsonText, UtcDateTime, ascii_column, new_metadata

metadata = new_metadata()

topics = Table(
    "topics",
    metadata,
    Column("topic", ascii_column(136), primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("is_ended", Boolean, nullable=False),
    Column("figures", JsonText),
    Column("project", ascii_column(96)),
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

producers = Table(
    "producers",
    metadata,
    Column("topic", ascii_column(136), primary_key=True),
    Column("producer", ascii_column(128), primary_key=True),
    Column("accepted_through", BigInteger, nullable=False),
    Column("sealed_at", BigInteger),
)
