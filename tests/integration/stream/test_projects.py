"""What a project's own topic is told, on each database."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from services.stream.app import create_app
from shared.kit.ids import new_id
from tests.integration.stream.client import NOW, StreamCaller, code_of, metrics, new_job, phase
from tests.integration.stream.conftest import settings_for
from tests.live_server import live_server


def _move(project: str, to: str, attempt: int = 1) -> dict[str, Any]:
    event = phase(to)
    return {**event, "attempt": attempt, "data": {**event["data"], "project": project}}


def _run_event(event_type: str, **data: Any) -> dict[str, Any]:
    return {"event_type": event_type, "timestamp": NOW, "data": data}


def _news(stream: StreamCaller, project: str) -> list[dict[str, Any]]:
    return stream.topic_log(f"project:{project}")


def _told(stream: StreamCaller, project: str) -> list[tuple[str, str]]:
    return [
        (event["data"]["job_id"], event["data"].get("to") or event["event_type"]) for event in _news(stream, project)
    ]


def test_each_project_hears_of_its_own_jobs_and_runs_in_order(stream: StreamCaller) -> None:
    mine, yours, run = new_job(), new_job(), new_id("run")
    stream.append(mine, "orchestrator", 1, [_move("shapes", "queued"), _move("shapes", "running")])
    stream.append(yours, "orchestrator", 1, [_move("words", "queued")])
    begun = _run_event("run_started", name="vision", project="shapes", config={"lr": 1})
    assert stream.append(run, run, 1, [begun, *metrics(1, 2)]).status_code == 200
    stream.append(mine, f"{mine}.1", 1, metrics(1, 2))
    stream.append(run, run, 4, [_run_event("run_finished", status="succeeded", why="")])
    stream.append(mine, "orchestrator", 3, [_move("shapes", "succeeded", attempt=2)])

    assert _told(stream, "words") == [(yours, "queued")]
    assert _told(stream, "shapes") == [
        (mine, "queued"),
        (mine, "running"),
        (run, "run_started"),
        (run, "run_finished"),
        (mine, "succeeded"),
    ]
    news = _news(stream, "shapes")
    assert [event["seq"] for event in news] == [1, 2, 3, 4, 5]
    assert news[2]["data"] == {"job_id": run, "name": "vision"}
    assert news[4]["data"] == {"job_id": mine, "from": "running", "to": "succeeded", "why": "test"}
    assert (news[4]["attempt"], news[4]["timestamp"]) == (2, "2026-01-01T00:00:00.000000Z")


def test_a_repeated_or_refused_event_is_not_told(stream: StreamCaller) -> None:
    job = new_job()
    moves = [_move("p", "queued"), _move("p", "running")]
    for _ in range(2):
        stream.append(job, "orchestrator", 1, moves)
    assert code_of(stream.append(job, "orchestrator", 4, [_move("p", "failed")])) == (409, "sequence_gap")
    stream.append(job, "orchestrator", 3, [_move("p", "failed")])
    assert code_of(stream.append(job, "orchestrator", 4, [_move("p", "queued")])) == (409, "producer_sealed")
    assert _told(stream, "p") == [(job, "queued"), (job, "running"), (job, "failed")]


def test_the_first_project_named_stays_and_who_names_none_tells_nobody(stream: StreamCaller) -> None:
    job, run = new_job(), new_id("run")
    stream.append(job, "orchestrator", 1, [phase("queued"), _move("first", "running"), _move("second", "queued")])
    stream.append(run, run, 1, [_run_event("run_started", name="x"), _run_event("run_finished", status="failed")])
    assert _told(stream, "first") == [(job, "running"), (job, "queued")]
    assert _news(stream, "second") == []


def test_a_project_that_is_no_name_is_refused(stream: StreamCaller) -> None:
    run = new_id("run")
    for project in ("a b", "", "x" * 97, 5, ["p"], "p\n"):
        refused = stream.append(run, run, 1, [_run_event("run_started", name="x", project=project)])
        assert code_of(refused) == (422, "invalid_value")
        assert refused.json()["error"]["param"] == "events.0.data.project"


def test_nobody_else_speaks_of_runs_in_a_projects_topic(stream: StreamCaller) -> None:
    body = {"producer": "me", "first_seq": 1, "events": [_run_event("run_started", name="x", project="p")]}
    assert code_of(stream.http.post("/v1/topics/project:p/events", json=body)) == (403, "forbidden")


def test_a_project_is_followed_live_with_its_cursor(stream: StreamCaller) -> None:
    job = new_job()
    stream.append(job, "orchestrator", 1, [_move("live", "queued")])
    with stream.listen_to("project:live", last_event_id="1") as events:
        stream.append(job, "orchestrator", 2, [_move("live", "running")])
        heard = next(events)
        assert (heard.id, heard.event) == ("2", "phase_changed")
        assert json.loads(heard.data)["data"]["job_id"] == job
        stream.append(job, "orchestrator", 3, [_move("live", "failed")])
        assert next(events).id == "3"
        stream.append(new_job(), "orchestrator", 1, [_move("live", "queued")])
        assert next(events).id == "4"


def test_news_is_gapless_and_told_once_when_replicas_race(database_url: str, tmp_path: Path) -> None:
    projects = ("one", "two")
    jobs = {new_job(): project for project in projects for _ in range(6)}
    moves = ("queued", "starting", "running", "stopping", "stopped")

    def drive(url: str, job: str) -> None:
        with StreamCaller(url) as caller:
            for number, to in enumerate(moves, 1):
                # Both replicas send every event, as two relays of the orchestrator may.
                answer = caller.append(job, "orchestrator", number, [_move(jobs[job], to)])
                assert answer.status_code == 200, answer.text
                caller.append(job, f"{job}.1", number, metrics(number))

    with ExitStack() as stack:
        settings = settings_for(database_url, tmp_path)
        urls = [stack.enter_context(live_server(create_app(settings))) for _ in range(2)]
        listener = stack.enter_context(StreamCaller(urls[1]))
        for url in urls:
            # Routes are built at their first request, which two apps in one process cannot do at once.
            with StreamCaller(url) as caller:
                caller.append(new_job(), "p", 1, metrics(1))
        events = stack.enter_context(listener.listen_to("project:one"))
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(drive, url, job) for job in jobs for url in urls]:
                done.result()
        for project in projects:
            news = _news(listener, project)
            assert [event["seq"] for event in news] == list(range(1, 31))
            for job in (job for job, home in jobs.items() if home == project):
                assert [event["data"]["to"] for event in news if event["data"]["job_id"] == job] == list(moves)
        heard = [json.loads(next(events).data) for _ in range(30)]
        assert heard == _news(listener, "one")
