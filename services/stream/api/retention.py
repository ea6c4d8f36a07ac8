"""A project's retention policy."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import Path

from services.stream.dependencies import TheStream
from services.stream.log.retention import read_policy, write_policy
from shared.contracts.base import Name
from shared.contracts.retention import RetentionPolicy
from shared.kit.application import api_router

routes = api_router("/v1/projects/{project}/retention", "log")

ProjectPath = Annotated[Name, Path(description="A project's name; one that has no policy keeps everything")]


@routes.get("")
def get(project: ProjectPath, stream: TheStream) -> RetentionPolicy:
    """What becomes of the project's old logs."""
    return stream.log.read(partial(read_policy, project=project))


@routes.put("")
def put(project: ProjectPath, body: RetentionPolicy, stream: TheStream) -> RetentionPolicy:
    """Say what becomes of them, from the next sweep on; what was deleted or thinned does not come back."""
    stream.log.write(partial(write_policy, project=project, policy=body, now=datetime.now(UTC)))
    return body
