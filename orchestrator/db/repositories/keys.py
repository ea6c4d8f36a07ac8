"""API keys in SQL."""

from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import Session

from orchestrator.db.tables.keys import ApiKeyRow
from orchestrator.domain.access import KeyHolder
from shared.kit.ids import new_id


class SqlKeys:
    """`KeyRepository` over one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, key_hash: str) -> KeyHolder | None:
        valid = select(ApiKeyRow).where(ApiKeyRow.key_hash == key_hash, ApiKeyRow.revoked_at.is_(None))
        row = self._session.scalars(valid).one_or_none()
        return None if row is None else KeyHolder(name=row.name, is_admin=row.is_admin)

    def preset(self, name: str, key_hash: str) -> None:
        now = datetime.now(UTC)
        others = (ApiKeyRow.name == name, ApiKeyRow.key_hash != key_hash, ApiKeyRow.revoked_at.is_(None))
        self._session.execute(update(ApiKeyRow).where(*others).values(revoked_at=now))
        values = {
            "id": new_id("key"), "name": name, "key_hash": key_hash, "is_admin": True,
            "created_at": now, "revoked_at": None,
        }  # fmt: skip
        valid_again = {"name": name, "is_admin": True, "revoked_at": None}
        if self._session.get_bind().dialect.name == "mysql":
            statement = mysql.insert(ApiKeyRow).values(values).on_duplicate_key_update(**valid_again)
            self._session.execute(statement)
        else:
            conflict = sqlite.insert(ApiKeyRow).values(values)
            self._session.execute(conflict.on_conflict_do_update(index_elements=[ApiKeyRow.key_hash], set_=valid_again))
