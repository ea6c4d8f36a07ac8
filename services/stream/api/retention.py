"""A project's retention policy."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import Path, Response

from services.stream.dependencies import TheStream
from services.stream.log.retention import read_policy, tag_of, write_policy
from shared.contracts.base import Name
from shared.contracts.retention import RetentionPolicy
from shared.kit.application import api_router
from shared.kit.preconditions import IfMatch, tell_tag

routes = api_router("/v1/projects/{project}/retention", "log")

ProjectPath = Annotated[Name, Path(description="A project's name; one that has no policy keeps everything")]


def _answer(policy: RetentionPolicy, response: Response) -> RetentionPolicy:
    tell_tag(response, tag_of(policy))
    return policy


@routes.get("")
def get(project: ProjectPath, stream: TheStream, response: Response) -> RetentionPolicy:
    """What becomes of the project's old logs."""
    return _answer(stream.log.read(partial(read_policy, project=project)), response)


@routes.put("")
def put(
    project: ProjectPath, body: RetentionPolicy, stream: TheStream, response: Response, if_match: IfMatch = None
) -> RetentionPolicy:
    """Say what becomes of them, from the next sweep on; `If-Match` refuses what somebody else changed meanwhile.

    What was deleted or thinned does not come back.
    """
    write = partial(write_policy, project=project, policy=body, now=datetime.now(UTC), if_match=if_match)
    stream.log.write(write)
    return _answer(body, response)
