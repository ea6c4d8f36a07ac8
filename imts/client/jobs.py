"""Jobs, from the client's side: submit, read, stop, retry, clone, logs, events, artifacts."""

import uuid
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from imts.client.transport import Transport
from imts.client.unpacking import unpack
from shared.contracts.commands import CommandView
from shared.contracts.events import EventPage
from shared.contracts.jobs import ArtifactList, AttemptList, JobHistory, JobPage, JobView, LogPage
from shared.contracts.log_lines import LogLines
from shared.contracts.plans import TrainingPlan
from shared.contracts.work import Artifact

_PLAN_S = 600.0
"""The server gives up sooner, by a setting of its operator."""

Spec = BaseModel | Mapping[str, object]


def body_of(spec: Spec | None, fields: Mapping[str, object]) -> dict[str, object]:
    """A request from a contract or a mapping, and fields that win over it."""
    given = spec.model_dump(mode="json", exclude_unset=True) if isinstance(spec, BaseModel) else dict(spec or {})
    return {**given, **fields}


class Jobs:
    """What a client does with jobs of every kind."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _submit(self, kind: str, spec: Spec | None, key: str | None, fields: Mapping[str, object]) -> JobView:
        # A key of our own makes it safe to send a request again whose answer was lost.
        key = key or uuid.uuid4().hex
        return self._transport.post(f"/api/{kind}/jobs", JobView, body_of(spec, fields), idempotency_key=key)

    def train(self, spec: Spec | None = None, *, idempotency_key: str | None = None, **fields: object) -> JobView:
        """Start a fine-tuning job: a TrainingSpec, a mapping, or its fields in either case."""
        return self._submit("training", spec, idempotency_key, fields)

    def plan(self, spec: Spec | None = None, **fields: object) -> TrainingPlan:
        """What a fine-tuning job with these fields would take; nothing is started. The answer may take minutes."""
        return self._transport.post("/api/training/plan", TrainingPlan, body_of(spec, fields), within_s=_PLAN_S)

    def analyse(self, spec: Spec | None = None, *, idempotency_key: str | None = None, **fields: object) -> JobView:
        """Start an analysis of a data set."""
        return self._submit("analysis", spec, idempotency_key, fields)

    def evaluate(self, spec: Spec | None = None, *, idempotency_key: str | None = None, **fields: object) -> JobView:
        """Start an evaluation of a model, with a baseline beside it if asked."""
        return self._submit("evaluation", spec, idempotency_key, fields)

    def export(self, spec: Spec | None = None, *, idempotency_key: str | None = None, **fields: object) -> JobView:
        """Start an export of a model: merged, or in another format."""
        return self._submit("export", spec, idempotency_key, fields)

    def get(self, job_id: str) -> JobView:
        """A job as it stands."""
        return self._transport.get(f"/api/jobs/{job_id}", JobView)

    def list(
        self,
        *,
        kind: str | None = None,
        status: str | None = None,
        sweep: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> JobPage:
        """A page of jobs, newest first."""
        path = f"/api/{kind}/jobs" if kind else "/api/jobs"
        return self._transport.get(path, JobPage, {"status": status, "sweep": sweep, "limit": limit, "cursor": cursor})

    def stop(self, job_id: str) -> JobView:
        """Ask a job to stop; it saves a checkpoint first."""
        return self._transport.post(f"/api/jobs/{job_id}/stop", JobView)

    def delete(self, job_id: str) -> None:
        """Delete a job that is over, with its checkpoints and its log."""
        self._transport.delete(f"/api/jobs/{job_id}")

    def retry(self, job_id: str, *, suggested: bool = False) -> JobView:
        """Start a new job with the spec of an ended one, mended as its failure suggests if asked."""
        query = "?suggested=true" if suggested else ""
        return self._transport.post(f"/api/jobs/{job_id}/retry{query}", JobView)

    def clone(
        self, job_id: str, patch: Spec | None = None, *, idempotency_key: str | None = None, **fields: object
    ) -> JobView:
        """Start a new job with the fields of any other, but for these; names mean their newest versions."""
        key = idempotency_key or uuid.uuid4().hex
        path = f"/api/jobs/{job_id}/clone"
        return self._transport.post(path, JobView, body_of(patch, fields), idempotency_key=key)

    def pause(self, job_id: str) -> JobView:
        """Ask a job to end at a checkpoint, from which `resume` goes on."""
        return self._transport.post(f"/api/jobs/{job_id}/pause", JobView)

    def resume(self, job_id: str) -> JobView:
        """Let a paused job go on, in a new attempt."""
        return self._transport.post(f"/api/jobs/{job_id}/resume", JobView)

    def control(
        self, job_id: str, action: str, spec: Spec | None = None, *, idempotency_key: str | None = None, **more: object
    ) -> CommandView:
        """Have a running training do something and go on; an event of its log says what was done."""
        key = idempotency_key or uuid.uuid4().hex
        path = f"/api/training/jobs/{job_id}/control"
        body = body_of(spec, {"action": action, **more})
        return self._transport.post(path, CommandView, body, idempotency_key=key)

    def attempts(self, job_id: str) -> AttemptList:
        """Every try at a job, oldest first."""
        return self._transport.get(f"/api/jobs/{job_id}/attempts", AttemptList)

    def history(self, job_id: str) -> JobHistory:
        """Every move of a job, and why, oldest first."""
        return self._transport.get(f"/api/jobs/{job_id}/history", JobHistory)

    def logs(self, job_id: str, *, attempt: int | None = None, offset: int = 0) -> LogPage:
        """A slice of an attempt's output; of the newest attempt unless told."""
        return self._transport.get(f"/api/jobs/{job_id}/logs", LogPage, {"attempt": attempt, "offset": offset})

    def log_lines(
        self, job_id: str, *, search: str = "", level: str = "debug", attempt: int | None = None, offset: int = 0
    ) -> LogLines:
        """Lines of an attempt's output: those of a level or more that say `search`."""
        asked = {"search": search or None, "level": level, "attempt": attempt, "offset": offset}
        return self._transport.get(f"/api/jobs/{job_id}/logs/lines", LogLines, asked)

    def events(self, job_id: str, *, after: int = 0, limit: int = 100) -> EventPage:
        """A page of a job's events, oldest first; `Client.watch` follows them live."""
        return self._transport.get(f"/api/jobs/{job_id}/events", EventPage, {"after": after, "limit": limit})

    def artifacts(self, job_id: str) -> ArtifactList:
        """What a job left behind."""
        return self._transport.get(f"/api/jobs/{job_id}/artifacts", ArtifactList)

    def download(self, job_id: str, artifact: Artifact, target: Path) -> Path:
        """Fetch an artifact: a file to `target`, a tree into a new folder there."""
        path = f"/api/jobs/{job_id}/artifacts/{artifact.name}"
        if not artifact.is_tree:
            return self._transport.download(path, target)
        archive = self._transport.download(path, target.with_name(f".{target.name}.tar"))
        try:
            return unpack(archive, target)
        finally:
            archive.unlink()
