"""Who may do what."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute

from services.stream.api import metrics as metrics_api
from services.stream.api import retention, sse, tickets, topics, trainer_status
from services.stream.app import create_app
from shared.kit.auth import ServiceTokens
from tests.fakes.key_directory import key_directory
from tests.integration.stream.client import StreamCaller, code_of, metrics, new_job, phase
from tests.integration.stream.conftest import settings_for
from tests.live_server import live_server

KEY = "imts-a-key-that-the-directory-knows"
FORGED = ServiceTokens("orchestrator", "x" * 32).issue("stream")
ROUTES = sorted(
    (method, re.sub(r"{(\w+)}", "x", route.path))
    for router in (
        metrics_api.routes,
        sse.routes,
        topics.routes,
        trainer_status.routes,
        tickets.routes,
        retention.routes,
    )
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods or ()
)


@pytest.fixture
def person(tmp_path: Path) -> Iterator[StreamCaller]:
    """Somebody with an API key."""
    with live_server(key_directory(KEY)) as keys:
        settings = settings_for("", tmp_path, orchestrator_url=keys)
        with live_server(create_app(settings)) as url, StreamCaller(url, KEY) as caller:
            yield caller


def test_every_route_asks_for_a_credential(embedded: StreamCaller) -> None:
    assert len(ROUTES) == 13
    with httpx.Client(base_url=embedded.url) as stranger:
        for method, path in [*ROUTES, ("GET", "/metrics")]:
            for headers in ({}, {"authorization": f"Bearer {FORGED}"}, {"authorization": "Basic eA=="}):
                assert code_of(stranger.request(method, path, headers=headers)) == (401, "unauthenticated")


def test_health_needs_no_credential(embedded: StreamCaller) -> None:
    assert httpx.get(f"{embedded.url}/healthz").status_code == 200
    assert httpx.get(f"{embedded.url}/readyz").json()["status"] == "ready"


def test_a_person_appends_under_a_name_of_their_own(person: StreamCaller) -> None:
    job = new_job()
    assert person.append(job, "my-script", 1, metrics(1)).status_code == 200
    assert [event["seq"] for event in person.log(job)] == [1]


def test_a_person_cannot_delete_a_log(person: StreamCaller) -> None:
    job = new_job()
    person.append(job, "my-script", 1, metrics(1))
    assert code_of(person.delete(job)) == (403, "forbidden")
    assert [event["seq"] for event in person.log(job)] == [1]


def test_a_person_cannot_speak_for_the_mesh(person: StreamCaller) -> None:
    job = new_job()
    assert code_of(person.append(job, "orchestrator", 1, metrics(1))) == (403, "forbidden")
    assert code_of(person.append(job, f"{job}.1", 1, metrics(1))) == (403, "forbidden")
    assert code_of(person.append(job, "me", 1, [phase("succeeded")])) == (403, "forbidden")
    assert code_of(person.seal(job, f"{job}.1", 0)) == (403, "forbidden")
    assert person.log(job) == []


def test_an_unknown_key_is_refused(person: StreamCaller) -> None:
    with StreamCaller(person.url, "imts-another-key") as stranger:
        assert code_of(stranger.append(new_job(), "p", 1, metrics(1))) == (401, "unauthenticated")


def test_the_gate_stays_shut_while_keys_cannot_be_checked(tmp_path: Path) -> None:
    settings = settings_for("", tmp_path, orchestrator_url="http://127.0.0.1:1")
    with live_server(create_app(settings)) as url, StreamCaller(url, KEY) as caller:
        assert code_of(caller.append(new_job(), "p", 1, metrics(1))) == (503, "peer_unavailable")
