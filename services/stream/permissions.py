"""What people may write: their own producers and events, never those the mesh's promises rest on."""

import re
from collections.abc import Sequence

from shared.contracts.events import (
    ATTEMPT_ENDED,
    ATTEMPT_LOG_INCOMPLETE,
    PHASE_CHANGED,
    RUN_FINISHED,
    RUN_STARTED,
    NewEvent,
    is_run_topic,
    job_topic,
)
from shared.kit.auth import Principal
from shared.kit.errors import Forbidden

_MESH_PRODUCER = re.compile(r"orchestrator|job-[0-9a-z]{26}\.[0-9]+")
_MESH_EVENTS = frozenset({PHASE_CHANGED, ATTEMPT_ENDED, ATTEMPT_LOG_INCOMPLETE})
_RUN_EVENTS = frozenset({RUN_STARTED, RUN_FINISHED})


def require_own_events(principal: Principal, topic: str, producer: str, events: Sequence[NewEvent]) -> None:
    """Refuse a person who speaks for the mesh, and anybody but the run itself who begins or ends a run."""
    _require_the_run_itself(topic, producer, events)
    if principal.kind == "service":
        return
    if _MESH_PRODUCER.fullmatch(producer):
        raise Forbidden("this producer belongs to the mesh; choose a name of your own", param="producer")
    for place, event in enumerate(events):
        if event.event_type in _MESH_EVENTS:
            raise Forbidden("only services of the mesh write this event_type", param=f"events.{place}.event_type")


def _require_the_run_itself(topic: str, producer: str, events: Sequence[NewEvent]) -> None:
    if is_run_topic(topic) and topic == job_topic(producer):
        return
    for place, event in enumerate(events):
        if event.event_type in _RUN_EVENTS:
            raise Forbidden("only the run's own producer begins and ends a run", param=f"events.{place}.event_type")
