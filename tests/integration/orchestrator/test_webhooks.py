"""Webhooks over the real API, database and reconciler, to a real receiver on loopback."""

import asyncio
from datetime import timedelta

from pydantic import SecretStr

from orchestrator.reconciler.housekeeping import Housekeeper
from shared.contracts.work import Outcome
from tests.fakes.clock import FakeClock
from tests.fakes.receiver import Receiver
from tests.integration.orchestrator.hooks import (
    add,
    all_delivered,
    deliveries,
    hears,
    standing,
    succeed,
)
from tests.integration.orchestrator.mesh import Mesh
from tests.waiting import eventually


def test_every_move_of_a_job_is_told_once_in_order_and_signed(open_mesh: Mesh, receiver: Receiver) -> None:
    webhook = add(open_mesh, receiver)
    jobs = [succeed(open_mesh) for _ in range(3)]
    for job_id in jobs:
        hears(receiver, job_id, "succeeded")
        assert receiver.told(job_id) == open_mesh.history(job_id)
    assert all(heard.verified_by == [webhook["secret"]] for heard in receiver.heard)
    assert len({heard.message_id for heard in receiver.heard}) == len(receiver.heard) == 12
    told = all_delivered(open_mesh, webhook)
    assert {(one["attempts"], one["lastStatus"], one["nextTryAt"]) for one in told} == {(1, 204, None)}
    last = next(one for one in receiver.heard if one.payload["type"] == "job.succeeded")
    assert last.payload["data"]["jobId"] == jobs[0]
    assert last.payload["data"]["fromStatus"] == "running"


def test_a_webhook_hears_what_it_asked_for_of_its_project(open_mesh: Mesh, receiver: Receiver) -> None:
    add(open_mesh, receiver, "job.stopped", project="default")
    add(open_mesh, receiver, "job.phase_changed", project="other")
    add(open_mesh, receiver, "job.succeeded", enabled=False)
    succeed(open_mesh)
    job_id = open_mesh.submit()
    open_mesh.ask(job_id, "stop")
    open_mesh.until(job_id, "stopped")
    eventually(lambda: receiver.told(job_id), lambda told: told == ["stopped"])
    assert [heard.payload["type"] for heard in receiver.heard] == ["job.stopped"]


def test_a_failed_job_says_whose_fault_it_was(open_mesh: Mesh, receiver: Receiver) -> None:
    add(open_mesh, receiver, "job.failed")
    job_id = open_mesh.submit()
    open_mesh.until(job_id, "running")
    failure = {"failure_class": "user", "reason": "no_rows", "message": "the data set has no rows"}
    open_mesh.worker.end(f"{job_id}.1", Outcome.FAILED, failure=failure)
    heard = eventually(lambda: receiver.heard)
    assert heard[0].payload["data"]["failure"] == {"class": "user", "reason": "no_rows"}


def test_a_ping_goes_the_way_of_every_message(open_mesh: Mesh, receiver: Receiver) -> None:
    webhook = add(open_mesh, receiver, "job.failed")
    sent = open_mesh.http.post(f"/api/webhooks/{webhook['webhookId']}/test")
    assert (sent.status_code, sent.json()["eventType"], sent.json()["jobId"]) == (202, "ping", None)
    (heard,) = eventually(lambda: list(receiver.heard))
    assert heard.message_id == sent.json()["deliveryId"]
    assert heard.payload["data"] == {"webhookId": webhook["webhookId"]}


def test_a_rotated_secret_signs_beside_the_one_before_it(open_mesh: Mesh, receiver: Receiver) -> None:
    webhook = add(open_mesh, receiver)
    path = f"/api/webhooks/{webhook['webhookId']}"
    fresh = open_mesh.http.post(f"{path}/rotate").json()["secret"]
    receiver.secrets.append(fresh)
    open_mesh.http.post(f"{path}/test")
    (heard,) = eventually(lambda: list(receiver.heard))
    assert (heard.signatures, set(heard.verified_by)) == (2, {webhook["secret"], fresh})
    last = open_mesh.http.post(f"{path}/rotate", params={"overlapHours": 0}).json()["secret"]
    receiver.secrets.append(last)
    open_mesh.http.post(f"{path}/test")
    heard = eventually(lambda: receiver.heard[1:])[0]
    assert (heard.signatures, heard.verified_by) == (1, [last])


def test_another_service_secret_stops_a_webhook_with_a_sentence(open_mesh: Mesh, receiver: Receiver) -> None:
    webhook = add(open_mesh, receiver)
    other = SecretStr("another-secret-another-secret-another")
    open_mesh.settings = open_mesh.settings.model_copy(update={"service_secret": other})
    open_mesh.restart()
    open_mesh.http.post(f"/api/webhooks/{webhook['webhookId']}/test")
    after = eventually(lambda: standing(open_mesh, webhook), lambda one: not one["enabled"])
    assert "rotate it" in after["disabledBecause"]
    assert receiver.heard == []


def test_old_messages_are_swept(open_mesh: Mesh, receiver: Receiver) -> None:
    webhook = add(open_mesh, receiver)
    open_mesh.http.post(f"/api/webhooks/{webhook['webhookId']}/test")
    all_delivered(open_mesh, webhook)
    units, days = open_mesh.wiring.units, open_mesh.settings.webhook_kept_days
    for age, left in ((days - 1, 1), (days + 1, 0)):
        housekeeper = Housekeeper(units, FakeClock(open_mesh.wiring.clock.now() + timedelta(days=age)), days, days)
        asyncio.run(housekeeper.tidy())
        assert len(deliveries(open_mesh, webhook)) == left
