"""What a project's topic is told of its jobs and runs: how they come and go, taken from their own logs."""

import re

from services.stream.log.entries import dump, job_of
from shared.contracts.base import NAME_PATTERN, JsonObject
from shared.contracts.events import PHASE_CHANGED, RUN_FINISHED, RUN_STARTED
from shared.kit.errors import InvalidRequest

_NEWS = frozenset({PHASE_CHANGED, RUN_STARTED, RUN_FINISHED})
_WORDS = ("name", "from", "to", "status", "why")
"""A run's config stays in its own log."""


def told(topic: str, event_type: str, data: JsonObject, where: str) -> tuple[str | None, str | None]:
    """The project that a job's event names, and the data its project is told; both None where there is no news."""
    if event_type not in _NEWS or (job := job_of(topic)) is None:
        return None, None
    project = data.get("project")
    if project is not None and not (isinstance(project, str) and re.fullmatch(NAME_PATTERN, project)):
        param = f"{where}.project"
        raise InvalidRequest(f"{param} must be a name: letters, digits, `.`, `_` and `-`, at most 96", param=param)
    return project, dump({"job_id": job, **{word: data[word] for word in _WORDS if word in data}})
