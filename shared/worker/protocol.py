"""The routes of the worker protocol: only services of the mesh may call them."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response

from shared.contracts.base import AttemptId
from shared.contracts.commands import Command
from shared.contracts.jobs import LogPage
from shared.contracts.log_lines import LineQuery, LogLines
from shared.contracts.work import AttemptSpec, AttemptView, Capacity, Control, ExitReport, Removed
from shared.kit.application import Caller, api_router
from shared.kit.auth import require_service
from shared.kit.errors import InvalidRequest
from shared.worker.log_lines import find_lines
from shared.worker.worker import Worker

MAX_SPEC_BYTES = 1024 * 1024
_LOG_BYTES = 64 * 1024
_MAX_LOG_BYTES = 1024 * 1024


def _only_services(caller: Caller) -> None:
    require_service(caller)


def _worker_of(request: Request) -> Worker:
    worker = request.app.state.worker
    assert isinstance(worker, Worker)
    return worker


Id = Annotated[AttemptId, Path()]
AtWork = Annotated[Worker, Depends(_worker_of)]

protocol = api_router(tag="worker protocol")
protocol.dependencies.append(Depends(_only_services))


@protocol.put("/jobs/{attempt_id}", status_code=201, responses={200: {"model": AttemptView}})
def accept(attempt_id: Id, spec: AttemptSpec, response: Response, worker: AtWork) -> AttemptView:
    """Run an attempt; the same id is the same job and never runs twice."""
    if spec.attempt_id != attempt_id:
        raise InvalidRequest("attempt_id: must be the one in the address", param="attempt_id")
    response.status_code = 201 if worker.accept(spec) else 200
    return worker.view(attempt_id)


@protocol.get("/jobs/{attempt_id}")
def look(attempt_id: Id, worker: AtWork) -> AttemptView:
    """Where an attempt is."""
    return worker.view(attempt_id)


@protocol.post("/jobs/{attempt_id}/stop", status_code=202)
def stop(attempt_id: Id, worker: AtWork) -> AttemptView:
    """End an attempt after a checkpoint, for good."""
    worker.control(attempt_id, Control.STOP)
    return worker.view(attempt_id)


@protocol.post("/jobs/{attempt_id}/pause", status_code=202)
def pause(attempt_id: Id, worker: AtWork) -> AttemptView:
    """End an attempt after a checkpoint; the user will have it resumed."""
    worker.control(attempt_id, Control.PAUSE)
    return worker.view(attempt_id)


@protocol.post("/jobs/{attempt_id}/preempt", status_code=202)
def preempt(attempt_id: Id, worker: AtWork) -> AttemptView:
    """End an attempt after a checkpoint; the orchestrator will have it resumed."""
    worker.control(attempt_id, Control.PREEMPT)
    return worker.view(attempt_id)


@protocol.post("/jobs/{attempt_id}/commands", status_code=202)
def command(attempt_id: Id, asked: Command, worker: AtWork) -> AttemptView:
    """Have a running attempt do something and go on; its log will tell."""
    worker.command(attempt_id, asked)
    return worker.view(attempt_id)


@protocol.get("/jobs/{attempt_id}/result")
def result(attempt_id: Id, worker: AtWork) -> ExitReport:
    """How an attempt ended."""
    return worker.result(attempt_id)


@protocol.delete("/jobs/{attempt_id}")
def remove(attempt_id: Id, worker: AtWork) -> Removed:
    """Delete what an attempt left, with the last one the job's checkpoints; one that is not here is gone already."""
    worker.remove(attempt_id)
    return Removed(name=attempt_id)


@protocol.get("/jobs/{attempt_id}/log")
def log(
    attempt_id: Id,
    worker: AtWork,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=4, le=_MAX_LOG_BYTES)] = _LOG_BYTES,
) -> LogPage:
    """A slice of the engine's output."""
    folder = worker.store.find(attempt_id)
    begin = worker.store.past_hole(folder, offset)
    text, is_complete = worker.store.read_output(folder, begin, limit)
    return LogPage(
        attempt=folder.number, offset=begin, next_offset=begin + len(text),
        text=text.decode("utf-8", "replace"), is_complete=is_complete,
    )  # fmt: skip


@protocol.get("/jobs/{attempt_id}/log/lines")
def log_lines(attempt_id: Id, query: Annotated[LineQuery, Query()], worker: AtWork) -> LogLines:
    """Lines of the engine's output, by level and by what they say."""
    folder = worker.store.find(attempt_id)
    has_ended = folder.exit.exists()
    lines, next_offset, is_end = find_lines(folder.stdout, folder.hole, query, is_final=has_ended)
    return LogLines(attempt=folder.number, data=lines, next_offset=next_offset, is_complete=is_end and has_ended)


@protocol.get("/capacity")
def capacity(worker: AtWork) -> Capacity:
    """How many attempts fit."""
    return worker.capacity()


@protocol.post("/drain", status_code=202)
def drain(worker: AtWork) -> Capacity:
    """Refuse new attempts and preempt the living ones."""
    worker.drain()
    return worker.capacity()
