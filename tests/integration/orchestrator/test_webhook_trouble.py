"""Receivers that are down, slow or gone, and orchestrators that die: what was committed is told, once and in order."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from orchestrator.db.engine import MIGRATIONS
from orchestrator.domain.audit import By
from orchestrator.domain.webhooks.delivery import Claimed
from orchestrator.domain.webhooks.news import ping
from orchestrator.operations.stop import stop_job
from orchestrator.reconciler.bells import Bells
from tests.databases import migrated
from tests.fakes.receiver import Receiver, receiving
from tests.integration.orchestrator.hooks import (
    EVERYTHING,
    add,
    all_delivered,
    audited,
    deliveries,
    hears,
    standing,
    succeed,
)
from tests.integration.orchestrator.mesh import ALLOWED, Mesh, running_orchestrator
from tests.ports import free_port
from tests.waiting import eventually


def test_a_receiver_that_was_down_hears_everything_in_order_when_it_is_back(open_mesh: Mesh) -> None:
    port = free_port()
    with receiving(port) as receiver:
        webhook = add(open_mesh, receiver)
    job_id = succeed(open_mesh)
    eventually(lambda: max(one["attempts"] for one in deliveries(open_mesh, webhook)), lambda most: most >= 2)
    pending = [one for one in deliveries(open_mesh, webhook) if one["attempts"]]
    assert [(one["status"], one["lastError"]) for one in pending] == [("pending", "no connection")]
    with receiving(port) as receiver:
        eventually(lambda: receiver.told(job_id), lambda told: len(told) == 4, within_s=30)
        assert receiver.told(job_id) == open_mesh.history(job_id)
    assert standing(open_mesh, webhook)["enabled"]


def test_what_was_committed_before_the_orchestrator_died_is_sent_by_the_next(
    open_mesh: Mesh, receiver: Receiver
) -> None:
    add(open_mesh, receiver)
    receiver.is_open.clear()
    job_id = open_mesh.submit()
    eventually(lambda: receiver.told(job_id), lambda told: told == ["queued"])
    open_mesh.until(job_id, "running")
    open_mesh.stop()
    receiver.is_open.set()
    open_mesh.restart()
    eventually(lambda: receiver.told(job_id), lambda told: "running" in told)
    assert receiver.told(job_id) == ["queued", "queued", "starting", "running"]
    assert len({heard.message_id for heard in receiver.heard}) == 3


def test_a_move_that_was_committed_in_the_last_moment_of_a_process_is_told_by_the_next(
    open_mesh: Mesh, receiver: Receiver
) -> None:
    open_mesh.worker.slots = 0
    add(open_mesh, receiver)
    job_id = open_mesh.submit()
    hears(receiver, job_id, "queued")
    open_mesh.stop()
    stop_job(open_mesh.start_units(), Bells(), job_id, None, By("admin", open_mesh.wiring.clock.now()))
    assert receiver.told(job_id) == ["queued"]
    open_mesh.restart()
    hears(receiver, job_id, "stopped")
    assert receiver.told(job_id) == ["queued", "stopped"]


def test_what_another_replica_holds_is_left_to_it_until_its_lease_ends(open_mesh: Mesh, receiver: Receiver) -> None:
    open_mesh.worker.slots = 0
    webhook = add(open_mesh, receiver)
    open_mesh.stop()
    units, now = open_mesh.start_units(), open_mesh.wiring.clock.now()
    hook = units.read(lambda uow: uow.webhooks.find(webhook["webhookId"]))
    assert hook is not None
    messages = [ping(hook, now) for _ in range(20)]
    units.write(lambda uow: uow.deliveries.add(messages))

    def claim(owner: int) -> list[Claimed]:
        until = now + timedelta(minutes=1)
        held: list[Claimed] = []
        # A turn in which others were quicker brings nothing.
        while units.read(lambda uow: uow.deliveries.awaited(now)):
            held += units.write(lambda uow: uow.deliveries.claim(hook.webhook_id, 3, str(owner), now, until))
        return held

    with ThreadPoolExecutor(6) as pool:
        taken = [held for claimed in pool.map(claim, range(6)) for held in claimed]
    assert Counter(held.delivery.delivery_id for held in taken) == Counter(one.delivery_id for one in messages)
    later = now + timedelta(minutes=2)
    again = units.write(lambda uow: uow.deliveries.claim(hook.webhook_id, 99, "next", later, later))
    assert len(again) == len(messages)
    assert not units.write(lambda uow: uow.deliveries.record(taken[0].delivery, taken[0].token))


def test_a_receiver_that_is_gone_hears_no_more(open_mesh: Mesh, receiver: Receiver) -> None:
    open_mesh.worker.slots = 8
    receiver.status = lambda _: 410
    webhook = add(open_mesh, receiver)
    open_mesh.submit()
    after = eventually(lambda: standing(open_mesh, webhook), lambda one: not one["enabled"])
    assert after["disabledBecause"] == "the receiver answered 410 Gone"
    assert audited(open_mesh)[-1] == ("imts", "disable_webhook")
    count = len(receiver.heard)
    succeed(open_mesh)
    assert len(receiver.heard) == count
    receiver.status = lambda _: 204
    body = {"url": receiver.url, "events": EVERYTHING, "enabled": True}
    again = open_mesh.http.put(f"/api/webhooks/{webhook['webhookId']}", json=body).json()
    assert (again["enabled"], again["disabledBecause"]) == (True, None)
    job_id = succeed(open_mesh)
    hears(receiver, job_id, "succeeded")


def test_a_webhook_to_which_nothing_arrives_for_long_is_disabled(database_url: str, tmp_path: Path) -> None:
    migrated(database_url, MIGRATIONS)
    settings = {**ALLOWED, "webhook_disable_days": 0.1 / 86_400}
    with running_orchestrator(database_url, tmp_path / "data", **settings) as mesh, receiving() as receiver:
        receiver.status = lambda _: 500
        webhook = add(mesh, receiver)
        mesh.submit()
        after = eventually(lambda: standing(mesh, webhook), lambda one: not one["enabled"])
        assert "the last one: the receiver answered 500" in after["disabledBecause"]
        assert mesh.http.post(f"/api/webhooks/{webhook['webhookId']}/test").status_code == 409


def test_a_receiver_that_hangs_delays_neither_jobs_nor_other_receivers(open_mesh: Mesh, receiver: Receiver) -> None:
    with receiving() as slow:
        slow.is_open.clear()
        add(open_mesh, slow)
        add(open_mesh, receiver)
        jobs = [succeed(open_mesh) for _ in range(6)]
        for job_id in jobs:
            hears(receiver, job_id, "succeeded")
        assert len(slow.heard) == 4


def test_a_receiver_that_asks_for_time_gets_it(open_mesh: Mesh, receiver: Receiver) -> None:
    receiver.status = lambda _: 429
    receiver.headers = {"retry-after": "3600"}
    webhook = add(open_mesh, receiver, "job.phase_changed")
    open_mesh.submit()
    eventually(lambda: deliveries(open_mesh, webhook)[-1]["attempts"], lambda count: count == 1)
    waits = deliveries(open_mesh, webhook)[-1]
    assert waits["lastStatus"] == 429
    assert waits["nextTryAt"] > waits["createdAt"]
    assert len(receiver.heard) == 1


def test_a_message_that_was_given_up_can_be_sent_again_under_its_id(open_mesh: Mesh, receiver: Receiver) -> None:
    receiver.status = lambda _: 404
    webhook = add(open_mesh, receiver, "job.stopped")
    job_id = open_mesh.submit()
    open_mesh.ask(job_id, "stop")
    (failed,) = eventually(
        lambda: deliveries(open_mesh, webhook), lambda all_: [one["status"] for one in all_] == ["failed"], within_s=30
    )
    assert (failed["attempts"], failed["lastError"]) == (6, "the receiver answered 404")
    receiver.status = lambda _: 200
    path = f"/api/webhooks/{webhook['webhookId']}/deliveries/{failed['deliveryId']}"
    assert open_mesh.http.post(f"{path}/redeliver").status_code == 202
    after = eventually(lambda: open_mesh.http.get(path).json(), lambda one: one["status"] == "delivered")
    assert (after["attempts"], after["lastError"]) == (7, None)
    assert {heard.message_id for heard in receiver.heard} == {failed["deliveryId"]}


def test_two_replicas_send_nothing_twice(database_url: str, tmp_path: Path, receiver: Receiver) -> None:
    migrated(database_url, MIGRATIONS)
    first_folder, second_folder = tmp_path / "one", tmp_path / "two"
    with (
        running_orchestrator(database_url, first_folder, **ALLOWED) as one,
        running_orchestrator(database_url, second_folder, **ALLOWED) as two,
    ):
        webhook = add(one, receiver)
        for mesh in (one, two):
            mesh.worker.slots = 0
        jobs = [mesh.submit() for _ in range(20) for mesh in (one, two)]
        for job_id in jobs:
            assert two.ask(job_id, "stop").status_code == 202
        all_delivered(one, webhook)
        assert all(receiver.told(job_id) == ["queued", "stopped"] for job_id in jobs)
        assert set(Counter(heard.message_id for heard in receiver.heard).values()) == {1}
