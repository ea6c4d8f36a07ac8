"""`python -m shared.kit.checkup SERVICE MODULE:SETTINGS [MIGRATIONS]`: what that service would find at its start."""

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from shared.contracts.checkup import Finding, Findings, broken, by_limits, doubtful, fine
from shared.kit.artifacts import ArtifactStore
from shared.kit.schema import applied_revisions, newest_revision, works_on
from shared.kit.settings import ServiceSettings, faults_of
from shared.kit.sql import Database, open_engine

_SKEW_WARN_S, _SKEW_FAIL_S = 2.0, 30.0
_NOTHING = "0" * 64


def look(service: str, kind: type[ServiceSettings], migrations: str | None) -> Iterator[Finding]:
    """Settings, and whatever they name."""
    name = f"{service} settings"
    try:
        settings = kind()
    except ValidationError as fault:
        says = "; ".join(faults_of(kind, fault))
        yield broken(name, says, "mend these environment variables")
        return
    yield fine(name, "can be read")
    if migrations is not None:
        yield from _database(service, str(getattr(settings, "database", "")), migrations)
    if (redis_url := getattr(settings, "redis_url", None)) and (url := redis_url.get_secret_value()):
        yield _redis(url)
    if service == "orchestrator":
        yield _artifacts(settings)


def _database(service: str, url: str, migrations: str) -> Iterator[Finding]:
    name = f"{service} database"
    engine = open_engine(url, pool_size=1)
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if file is not None and not Path(file).is_file():
        yield doubtful(name, f"there is none at {file} yet", "the first start makes it")
        return
    shown = engine.url.render_as_string(hide_password=True)
    with closing(Database(engine)):
        try:
            with engine.execution_options(reading=True).connect() as connection:
                yield fine(name, f"answers at {shown}")
                yield _schema(service, connection, migrations)
                if file is None:
                    yield _clock(service, connection)
        except SQLAlchemyError as fault:
            told = str(getattr(fault, "orig", fault))
            yield broken(
                name, f"{shown} cannot be used: {told}", "see that it runs, and that address and account are right"
            )


def _schema(service: str, connection: Connection, migrations: str) -> Finding:
    name, newest = f"{service} schema", newest_revision(migrations)
    applied = applied_revisions(connection)
    if applied == [newest]:
        return fine(name, f"is the newest, {newest}")
    if not applied or applied[0] < newest:
        return doubtful(
            name, f"is {applied[0] if applied else 'empty'}, the newest is {newest}", "the next start migrates it"
        )
    says = f"is {applied[0]}, newer than this program's {newest}"
    if works_on(applied[0], newest):
        return doubtful(name, f"{says}, which works on it", "update this program too")
    return broken(name, says, "use the IMTS that the database was last used with")


def _clock(service: str, connection: Connection) -> Finding:
    began = time.time()
    there = connection.scalar(text("SELECT UTC_TIMESTAMP(6)"))
    assert isinstance(there, datetime)
    here = (began + time.time()) / 2
    skew_s = abs(there.replace(tzinfo=UTC).timestamp() - here)
    says, action = f"differs by {skew_s:.1f} s from this machine's", "have both machines' clocks set by NTP"
    return by_limits(f"{service} database clock", skew_s, _SKEW_WARN_S, _SKEW_FAIL_S, says, action)


def _redis(url: str) -> Finding:
    import redis

    try:
        with closing(redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3)) as client:
            client.ping()
    except (redis.RedisError, ValueError) as fault:
        action = "see that it runs; until then replicas of the stream service poll the database"
        return doubtful("redis", f"does not answer: {fault}", action)
    return fine("redis", "answers")


def _artifacts(settings: ServiceSettings) -> Finding:
    try:
        ArtifactStore(settings.artifacts, cache=settings.data_dir / "cache").has(_NOTHING)
    except (OSError, ValueError, ImportError) as fault:
        return broken("artifact store", f"cannot be read: {fault}", "see IMTS_ARTIFACTS_URL and its credentials")
    return fine("artifact store", f"can be read at {settings.artifacts.partition('?')[0]}")


def main(service: str, settings: str, migrations: str | None = None) -> None:
    """Print the findings as JSON."""
    module, _, name = settings.partition(":")
    kind = getattr(import_module(module), name)
    print(Findings(data=list(look(service, kind, migrations))).model_dump_json())


if __name__ == "__main__":
    main(*sys.argv[1:])
