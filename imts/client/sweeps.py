"""Sweeps, from the client's side."""

import uuid

from imts.client.jobs import Spec, body_of
from imts.client.transport import Transport
from shared.contracts.sweeps import SweepDetail, SweepPage


class Sweeps:
    """Many jobs that differ in some fields, as one."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, spec: Spec | None = None, *, idempotency_key: str | None = None, **fields: object) -> SweepDetail:
        """Start a sweep: a SweepSpec, a mapping, or its fields in either case."""
        key = idempotency_key or uuid.uuid4().hex
        return self._transport.post("/api/sweeps", SweepDetail, body_of(spec, fields), idempotency_key=key)

    def get(self, sweep_id: str) -> SweepDetail:
        """A sweep with its trials, and the best of them."""
        return self._transport.get(f"/api/sweeps/{sweep_id}", SweepDetail)

    def list(self, *, project: str | None = None, limit: int = 50, cursor: str | None = None) -> SweepPage:
        """A page of sweeps, newest first."""
        return self._transport.get("/api/sweeps", SweepPage, {"project": project, "limit": limit, "cursor": cursor})

    def stop(self, sweep_id: str) -> SweepDetail:
        """Stop every trial that is not over."""
        return self._transport.post(f"/api/sweeps/{sweep_id}/stop", SweepDetail)
