"""What people may write: their own producers and events, never those the mesh's promises rest on."""

import re

from shared.contracts.events import ATTEMPT_ENDED, ATTEMPT_LOG_INCOMPLETE, PHASE_CHANGED, AppendRequest
from shared.kit.auth import Principal
from shared.kit.errors import Forbidden

_MESH_PRODUCER = re.compile(r"orchestrator|job-[0-9a-z]{26}\.[0-9]+")
_MESH_EVENTS = frozenset({PHASE_CHANGED, ATTEMPT_ENDED, ATTEMPT_LOG_INCOMPLETE})


def require_own_events(principal: Principal, request: AppendRequest) -> None:
    """Refuse a person who writes under the orchestrator's or an attempt's name, or moves a job's phase."""
    if principal.kind == "service":
        return
    if _MESH_PRODUCER.fullmatch(request.producer):
        raise Forbidden("this producer belongs to the mesh; choose a name of your own", param="producer")
    for place, event in enumerate(request.events):
        if event.event_type in _MESH_EVENTS:
            raise Forbidden("only services of the mesh write this event_type", param=f"events.{place}.event_type")
