"""A database saved as text and loaded into another kind of database."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from services.stream.log import tables
from services.stream.wiring import MIGRATIONS
from shared.kit.dump import DumpRefused, load, save
from shared.kit.migrations import migrate
from shared.kit.schema import newest_revision
from shared.kit.sql import open_engine
from tests.databases import fresh_database

KINDS = ["sqlite", pytest.param("mysql", marks=pytest.mark.mysql)]
ODD = ['{"text":"naïve 雪 🙂 \\u0000 \\"%s\\" :name"}', '{"loss":1e-05,"n":9007199254740991}', '""']


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Engine]:
    folder.mkdir()
    with fresh_database(kind, folder) as url:
        engine = open_engine(url, pool_size=2)
        try:
            yield engine
        finally:
            engine.dispose()


def fill(engine: Engine, count: int = 1200) -> None:
    migrate(engine, MIGRATIONS)
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
    topic = {"topic": "job:a", "last_seq": count, "is_ended": True, "figures": {"z": 0.1, "a": None}, "updated_at": at}
    rows = [
        {
            "topic": "job:a", "seq": seq, "event_type": "log", "attempt": None, "step": None, "timestamp": at,
            "producer": "p", "producer_seq": seq, "data": ODD[seq % len(ODD)],
        }
        for seq in range(1, count + 1)
    ]  # fmt: skip
    with engine.begin() as connection:
        connection.execute(tables.topics.insert(), [topic])
        connection.execute(tables.events.insert(), rows)


def content(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return [
            [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            for table in (tables.topics, tables.events, tables.producers)
        ]


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_every_value_survives_the_way_into_either_kind_of_database(source: str, target: str, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl.gz"
    with opened(source, tmp_path / "from") as old, opened(target, tmp_path / "to") as new:
        fill(old)
        saved = save(old, MIGRATIONS, file)
        assert {table: count for table, count in saved.items() if count} == {"topics": 1, "events": 1200}
        load(new, MIGRATIONS, newest_revision(MIGRATIONS), file, lambda _: None)
        assert content(new) == content(old)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["log.jsonl.gz"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_dump_is_one_moment_though_others_write_meanwhile(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path / "db") as engine:
        fill(engine)

        def meddle(table: str, _: object) -> None:
            with engine.begin() as connection:
                connection.execute(text("DELETE FROM events WHERE seq > 600"))
                connection.execute(text("UPDATE topics SET last_seq = last_seq + 1"))

        assert save(engine, MIGRATIONS, tmp_path / "dump", meddle)["events"] == 1200
        assert len(content(engine)[1]) == 600


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    with opened("sqlite", tmp_path / "from") as engine:
        fill(engine, 10)
        save(engine, MIGRATIONS, tmp_path / "dump")
    return tmp_path / "dump"


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_with_rows_is_never_loaded_into(kind: str, dump: Path, tmp_path: Path) -> None:
    with opened(kind, tmp_path / "db") as engine:
        fill(engine, 1)
        before = content(engine)
        with pytest.raises(DumpRefused, match="the database is not empty"):
            load(engine, MIGRATIONS, newest_revision(MIGRATIONS), dump, lambda _: None)
        assert content(engine) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lost", ["the last line", "a row"])
def test_a_dump_that_lacks_something_leaves_the_database_empty(
    kind: str, lost: str, dump: Path, tmp_path: Path
) -> None:
    lines = gzip.decompress(dump.read_bytes()).splitlines(keepends=True)
    kept = lines[:-1] if lost == "the last line" else [*lines[:3], *lines[4:]]
    dump.write_bytes(gzip.compress(b"".join(kept)))
    with opened(kind, tmp_path / "db") as engine:
        with pytest.raises(DumpRefused, match="does not hold all the rows"):
            load(engine, MIGRATIONS, newest_revision(MIGRATIONS), dump, lambda _: None)
        assert content(engine) == [[], [], []]


def test_a_dump_of_a_newer_program_is_refused(dump: Path, tmp_path: Path) -> None:
    with opened("sqlite", tmp_path / "db") as engine, pytest.raises(DumpRefused, match="update IMTS"):
        load(engine, MIGRATIONS, "s9999", dump, lambda _: None)


def test_a_database_that_was_never_migrated_is_not_saved(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path / "db") as engine:
        with pytest.raises(DumpRefused, match="there is no database at"):
            save(engine, MIGRATIONS, tmp_path / "dump")
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE other (a INTEGER)"))
        with pytest.raises(DumpRefused, match="start the mesh once"):
            save(engine, MIGRATIONS, tmp_path / "dump")


def test_a_dump_is_lines_that_a_person_can_read(dump: Path) -> None:
    lines = [json.loads(line) for line in gzip.decompress(dump.read_bytes()).splitlines()]
    assert lines[0].keys() == {"table", "columns"}
    assert {table: count for table, count in lines[-1]["complete"].items() if count} == {"topics": 1, "events": 10}
