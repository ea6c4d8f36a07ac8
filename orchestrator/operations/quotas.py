"""Setting a project's quota, with a record of who did."""

from dataclasses import asdict, replace
from datetime import datetime

from orchestrator.domain.audit import Change
from orchestrator.domain.ports import AlreadyThere, UnitOfWork, UnitsOfWork
from orchestrator.domain.quota import Quota
from shared.contracts.base import JsonObject
from shared.contracts.quotas import QuotaSpec
from shared.kit.preconditions import require_match


def subject_of(project: str) -> str:
    """The quota of a project, as the audit names it."""
    return f"quota:{project}"


def set_quota(
    units: UnitsOfWork, project: str, wanted: QuotaSpec, who: str, now: datetime, if_match: str | None
) -> Quota:
    """The quota as it is now; PreconditionFailed when it is not the version that the caller read."""

    def write(uow: UnitOfWork) -> Quota:
        before = uow.quotas.hold(project)
        require_match(if_match, before.version, f"the quota of {project}")
        after = replace(
            before, max_running=wanted.max_running, max_queued=wanted.max_queued,
            version=before.version + 1, updated_at=now, updated_by=who,
        )  # fmt: skip
        uow.quotas.save(after)
        uow.audit.add(Change(now, who, "set_quota", subject_of(project), _told(before), _told(after)))
        return after

    try:
        return units.write(write)
    except AlreadyThere:
        # Someone else set the first quota of this project meanwhile: theirs is there to be held now.
        return units.write(write)


def _told(quota: Quota) -> JsonObject | None:
    if quota.version == 0:
        return None
    said = asdict(quota)
    return {name: said[name] for name in ("max_running", "max_queued", "version")}
