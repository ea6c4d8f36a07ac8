"""`imts webhooks` against a real orchestrator and a real receiver."""

import json
from typing import Any

from tests.fakes.receiver import Receiver
from tests.integration.imts.test_cli import imts
from tests.integration.orchestrator.mesh import API_KEY, Mesh


def webhooks(mesh: Mesh, *words: str) -> tuple[int, str, str]:
    """What a command answers: its exit code, output and complaints."""
    done = imts(mesh.url, "webhooks", *words, key=API_KEY)
    return done.returncode, done.stdout, done.stderr


def added(mesh: Mesh, receiver: Receiver) -> dict[str, Any]:
    """A webhook, and the receiver knows its secret."""
    code, told, fault = webhooks(mesh, "add", receiver.url, "--event", "job.failed", "--project", "alpha", "--json")
    assert code == 0, fault
    receiver.secrets.append(json.loads(told)["secret"])
    return dict(json.loads(told))


def test_a_webhook_is_added_tested_and_deleted(open_mesh: Mesh, receiver: Receiver) -> None:
    webhook_id = added(open_mesh, receiver)["webhookId"]
    assert webhook_id in webhooks(open_mesh, "list")[1]
    code, told, _ = webhooks(open_mesh, "test", webhook_id)
    assert (code, told) == (0, f"{webhook_id} took the ping: HTTP 204\n")
    assert receiver.heard[0].verified_by == receiver.secrets
    listed = json.loads(webhooks(open_mesh, "deliveries", webhook_id, "--json")[1])["data"]
    assert [(one["eventType"], one["status"]) for one in listed] == [("ping", "delivered")]
    assert webhooks(open_mesh, "delete", webhook_id)[0] == 0
    assert "none yet" in webhooks(open_mesh, "list")[1]


def test_a_ping_that_is_not_taken_is_an_exit_code(open_mesh: Mesh, receiver: Receiver) -> None:
    receiver.status = lambda _: 410
    webhook_id = added(open_mesh, receiver)["webhookId"]
    code, _, fault = webhooks(open_mesh, "test", webhook_id)
    assert (code, fault) == (1, f"{webhook_id} did not take the ping: the receiver answered 410\n")
    assert "disabled: the receiver answered 410 Gone" in webhooks(open_mesh, "list")[1]


def test_a_url_that_leads_inside_is_wrong_usage(open_mesh: Mesh) -> None:
    code, told, fault = webhooks(open_mesh, "add", "https://10.0.0.1/")
    assert (code, told) == (2, "")
    assert "not public" in fault
