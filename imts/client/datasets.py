"""Data sets, from the client's side."""

from pathlib import Path

from imts.client.errors import ClientError
from imts.client.transport import Transport
from shared.contracts.datasets import DatasetPage, DatasetView


class Datasets:
    """What a client does with data sets."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(self, file: Path, name: str | None = None, format: str | None = None) -> DatasetView:  # noqa: A002
        """Upload a file; the same rows again answer the version that is already there."""
        if not file.is_file():
            raise ClientError(f"there is no file {file}")
        fields = {"name": name or file.name.partition(".")[0]}
        if format:
            fields["format"] = format
        return self._transport.upload("/api/datasets", DatasetView, "file", [file], fields)

    def list(self, *, limit: int = 50, cursor: str | None = None) -> DatasetPage:
        """A page of data sets, newest first."""
        return self._transport.get("/api/datasets", DatasetPage, {"limit": limit, "cursor": cursor})

    def get(self, reference: str) -> DatasetView:
        """One version: `name`, `name@2`, or an id."""
        return self._transport.get(f"/api/datasets/{reference}", DatasetView)
