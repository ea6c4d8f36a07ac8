"""`/api/quotas`: how many jobs of a project may run and wait."""

from dataclasses import asdict
from typing import Annotated

from fastapi import Path, Query, Response

from orchestrator.api.audit import view_of
from orchestrator.dependencies import CallerDep, Clocked, Units
from orchestrator.domain.quota import Quota
from orchestrator.operations.quotas import set_quota, subject_of
from shared.contracts.audit import ChangeList
from shared.contracts.base import Name
from shared.contracts.quotas import QuotaList, QuotaSpec, QuotaView
from shared.kit.application import api_router
from shared.kit.auth import require_admin
from shared.kit.preconditions import IfMatch, tell_tag

routes = api_router("/api/quotas", "quotas")
ProjectName = Annotated[Name, Path()]


def _answer(quota: Quota, response: Response) -> QuotaView:
    tell_tag(response, quota.version)
    return _view(quota)


def _view(quota: Quota) -> QuotaView:
    return QuotaView.model_validate(asdict(quota))


@routes.get("")
def list_all(units: Units) -> QuotaList:
    """Every quota that was set."""
    return QuotaList(data=[_view(quota) for quota in units.read(lambda uow: uow.quotas.all())])


@routes.get("/{project}")
def get_one(project: ProjectName, units: Units, response: Response) -> QuotaView:
    """The project's bounds; null is no bound."""
    return _answer(units.read(lambda uow: uow.quotas.find(project)), response)


@routes.put("/{project}")
def put(
    project: ProjectName,
    spec: QuotaSpec,
    units: Units,
    clock: Clocked,
    caller: CallerDep,
    response: Response,
    if_match: IfMatch = None,
) -> QuotaView:
    """Set the project's bounds; admins only. `If-Match` refuses what somebody else changed meanwhile."""
    require_admin(caller)
    return _answer(set_quota(units, project, spec, caller.name, clock.now(), if_match), response)


@routes.get("/{project}/changes")
def changes(project: ProjectName, units: Units, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> ChangeList:
    """Who changed it, when, from what to what; newest first."""
    found = units.read(lambda uow: uow.audit.of(subject_of(project), limit))
    return ChangeList(data=[view_of(one) for one in found])
