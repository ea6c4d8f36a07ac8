"""Data sets and their immutable versions."""

from datetime import datetime
from enum import StrEnum

from shared.contracts.base import Contract, Int, JsonObject, Name


class DatasetFormat(StrEnum):
    """The form rows were uploaded in."""

    ALPACA = "alpaca"
    SHAREGPT = "sharegpt"
    MESSAGES = "messages"
    PREFERENCE = "preference"
    KTO = "kto"
    TEXT = "text"


class DatasetView(Contract):
    """One version of a data set, as the API answers it."""

    dataset_id: str
    name: Name
    version: Int
    rows: Int
    format: DatasetFormat
    sha256: str
    """Of the normalised rows: two uploads of the same rows under one name are one version."""
    size_bytes: Int
    has_images: bool = False
    """Whether its rows name images, each by its SHA-256."""
    created_at: datetime


class DatasetPage(Contract):
    """A page of data sets, newest first."""

    data: list[DatasetView]
    has_more: bool
    next_cursor: str | None = None


class DatasetRows(Contract):
    """A slice of a data set's normalised rows; shorter than asked when rows are large."""

    data: list[JsonObject]
    offset: Int
    next_offset: Int | None = None
    """Where the next slice begins; absent after the last row."""
