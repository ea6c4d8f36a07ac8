"""`/api/audit`: who changed what."""

from dataclasses import asdict
from typing import Annotated

from fastapi import Query

from orchestrator.api.pagination import PageSize
from orchestrator.dependencies import CallerDep, Units
from orchestrator.domain.audit import Change
from shared.contracts.audit import ChangePage, ChangeView
from shared.kit.application import api_router
from shared.kit.auth import require_admin

routes = api_router("/api/audit", "audit")
Cursor = Annotated[int | None, Query(ge=1, le=2**53 - 1, description="`nextCursor` of the page before")]


def view_of(change: Change) -> ChangeView:
    """A change as the API answers it."""
    return ChangeView.model_validate(asdict(change), extra="ignore")


@routes.get("")
def list_all(units: Units, caller: CallerDep, cursor: Cursor = None, limit: PageSize = 50) -> ChangePage:
    """Every change to jobs, sweeps, data sets, models, workers and quotas, newest first; admins only."""
    require_admin(caller)
    found = units.read(lambda uow: uow.audit.page(cursor, limit + 1))
    shown, has_more = found[:limit], len(found) > limit
    return ChangePage(
        data=[view_of(change) for change in shown], has_more=has_more,
        next_cursor=shown[-1].entry_id if has_more else None,
    )  # fmt: skip
