"""What `/api/webhooks` takes, refuses, tells and keeps to itself."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from orchestrator.db.tables.base import table_of
from orchestrator.db.tables.keys import ApiKeyRow
from orchestrator.db.tables.webhooks import WebhookRow
from shared.kit.auth import hash_key
from tests.integration.orchestrator.mesh import Mesh

URL = "https://8.8.8.8/hook"
"""Public, and never called: no job of these tests fails."""
SPEC: dict[str, Any] = {"url": URL, "events": ["job.failed"]}


def make(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    """A webhook."""
    answer = http.post("/api/webhooks", json=SPEC | fields)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_webhook_is_made_read_changed_and_deleted(http: httpx.Client) -> None:
    made = http.post("/api/webhooks", json=SPEC | {"project": "alpha"})
    path = f"/api/webhooks/{made.json()['webhookId']}"
    assert (made.headers["location"], made.headers["etag"]) == (path, '"1"')
    shown = http.get(path).json()
    assert (shown["url"], shown["events"], shown["project"], shown["enabled"]) == (URL, ["job.failed"], "alpha", True)
    changed = http.put(path, json={"url": URL, "events": ["job.stopped"], "enabled": False})
    assert (changed.json()["events"], changed.json()["enabled"]) == (["job.stopped"], False)
    assert changed.headers["etag"] == '"2"'
    assert [one["webhookId"] for one in http.get("/api/webhooks").json()["data"]] == [shown["webhookId"]]
    assert http.delete(path).status_code == 204
    assert http.get(path).json()["error"]["code"] == "webhook_not_found"
    assert http.get("/api/webhooks").json()["data"] == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "https://169.254.169.254/latest/", "https://2130706433/", "https://127.1/",
        "https://[64:ff9b::7f00:1]/", "https://[::ffff:10.0.0.1]/", "https://localhost/", "https://user:word@example.com/",
        "https://ok.com\\@127.0.0.1/", "file:///etc/passwd", "https://example.com:22/",
    ],
)  # fmt: skip
def test_a_url_that_leads_inside_is_refused(http: httpx.Client, url: str) -> None:
    refused = http.post("/api/webhooks", json=SPEC | {"url": url})
    fault = refused.json()["error"]
    assert (refused.status_code, fault["code"], fault["param"]) == (422, "url_not_allowed", "url")
    assert url not in refused.text
    webhook = make(http)
    assert http.put(f"/api/webhooks/{webhook['webhookId']}", json=SPEC | {"url": url}).status_code == 422


@pytest.mark.parametrize(
    "body",
    [{}, {"url": URL}, SPEC | {"events": []}, SPEC | {"events": ["job.queued"]}, SPEC | {"secret": "mine"},
     SPEC | {"project": "../x"}, SPEC | {"enabled": "yes"}],
)  # fmt: skip
def test_a_wrong_webhook_is_refused(http: httpx.Client, body: dict[str, Any]) -> None:
    assert http.post("/api/webhooks", json=body).status_code == 422


@pytest.mark.parametrize("name", ["wh-nope", "..%2f..", "wh-" + "A" * 26, "%00"])
def test_an_id_of_another_form_names_no_webhook(http: httpx.Client, name: str) -> None:
    assert http.get(f"/api/webhooks/{name}").status_code in {404, 422}


def test_a_secret_is_told_once_and_stored_where_nobody_can_read_it(mesh: Mesh) -> None:
    secret = make(mesh.http)["secret"]
    assert secret.startswith("whsec_")
    for path in ("/api/webhooks", "/api/audit"):
        assert secret not in mesh.http.get(path).text
        assert 'secret"' not in mesh.http.get(path).text
    with mesh.wiring.database.engine.connect() as connection:
        stored = connection.execute(table_of(WebhookRow).select()).one()
    assert secret.removeprefix("whsec_") not in str(tuple(stored))


def test_a_key_makes_one_webhook_and_answers_its_secret_again(http: httpx.Client) -> None:
    def post(_: int) -> httpx.Response:
        return http.post("/api/webhooks", json=SPEC, headers={"idempotency-key": "once"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({(answer.json()["webhookId"], answer.json()["secret"]) for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    other = http.post("/api/webhooks", json=SPEC | {"project": "x"}, headers={"idempotency-key": "once"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")
    webhook = answers[0].json()["webhookId"]
    http.post(f"/api/webhooks/{webhook}/rotate")
    assert post(0).json()["secret"] is None


def test_a_change_on_top_of_somebody_elses_is_refused_when_asked_to(http: httpx.Client) -> None:
    path = f"/api/webhooks/{make(http)['webhookId']}"
    http.put(path, json=SPEC)
    stale = {"if-match": '"1"'}
    assert http.put(path, json=SPEC, headers=stale).json()["error"]["param"] == "If-Match"
    assert http.delete(path, headers=stale).status_code == 412
    assert http.put(path, json=SPEC, headers={"if-match": '"2"'}).status_code == 200


def test_every_change_is_on_record(http: httpx.Client) -> None:
    webhook = make(http)
    path = f"/api/webhooks/{webhook['webhookId']}"
    http.put(path, json=SPEC | {"events": ["job.stopped"]})
    http.post(f"{path}/rotate")
    http.delete(path)
    found = list(reversed(http.get("/api/audit").json()["data"]))
    actions = ["make_webhook", "change_webhook", "rotate_secret_of_webhook", "delete_webhook"]
    assert [(one["who"], one["action"]) for one in found] == [("admin", action) for action in actions]
    assert {one["subject"] for one in found} == {f"webhook:{webhook['webhookId']}"}
    assert found[1]["before"]["events"] == ["job.failed"]
    assert found[3]["after"] is None


def test_webhooks_are_for_admins(mesh: Mesh) -> None:
    webhook = make(mesh.http)["webhookId"]
    key = {
        "id": "key-1", "name": "someone", "key_hash": hash_key("imts-someone"), "is_admin": False,
        "created_at": mesh.wiring.clock.now(), "revoked_at": None,
    }  # fmt: skip
    with mesh.wiring.database.engine.begin() as connection:
        connection.execute(table_of(ApiKeyRow).insert(), key)
    user = {"authorization": "Bearer imts-someone"}
    one, message = f"/{webhook}", f"/{webhook}/deliveries/msg-{'0' * 26}"
    reads = [("GET", path) for path in ("", one, f"{one}/deliveries", message)]
    writes = [("DELETE", one), *(("POST", path) for path in (f"{one}/test", f"{one}/rotate", f"{message}/redeliver"))]
    bodies = [("POST", ""), ("PUT", one)]
    for method, path in reads + writes + bodies:
        body = SPEC if (method, path) in bodies else None
        refused = mesh.http.request(method, f"/api/webhooks{path}", headers=user, json=body)
        assert refused.status_code == 403, (method, path)
