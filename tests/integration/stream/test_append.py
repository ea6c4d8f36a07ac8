"""The log's promises over REST, on each database."""

import random
from concurrent.futures import ThreadPoolExecutor

from tests.integration.stream.client import NOW, StreamCaller, code_of, metrics, new_job, phase


def _steps(stream: StreamCaller, job: str) -> list[int]:
    return [event["data"]["step"] for event in stream.log(job)]


def test_numbers_are_gapless_whoever_writes_at_once(stream: StreamCaller) -> None:
    jobs = [new_job() for _ in range(3)]

    def write(writer: int) -> None:
        order = random.Random(writer)
        sent = dict.fromkeys(jobs, 0)
        with StreamCaller(stream.url) as caller:
            for _ in range(15):
                job = order.choice(jobs)
                count = order.randint(1, 5)
                events = metrics(*range(sent[job], sent[job] + count), writer=writer)
                assert caller.append(job, f"writer-{writer}", sent[job] + 1, events).status_code == 200
                sent[job] += count

    with ThreadPoolExecutor(8) as writers:
        list(writers.map(write, range(8)))

    for job in jobs:
        log = stream.log(job)
        assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
        for writer in range(8):
            mine = [event["data"]["step"] for event in log if event["data"]["writer"] == writer]
            assert mine == list(range(len(mine)))
            assert stream.mark(job, f"writer-{writer}")["accepted_through"] == len(mine)


def test_a_repeated_batch_is_dropped_and_an_overlap_adds_its_new_part(stream: StreamCaller) -> None:
    job = new_job()
    first = stream.append(job, "p", 1, metrics(1, 2, 3))
    assert first.json() == {"producer": "p", "accepted_through": 3, "sealed_at": None}
    assert stream.append(job, "p", 1, metrics(1, 2, 3)).json() == first.json()
    assert stream.append(job, "p", 2, metrics(2, 3, 4, 5)).json()["accepted_through"] == 5
    assert _steps(stream, job) == [1, 2, 3, 4, 5]


def test_a_hole_is_refused_and_says_what_is_expected(stream: StreamCaller) -> None:
    job = new_job()
    stream.append(job, "p", 1, metrics(1, 2))
    refused = stream.append(job, "p", 5, metrics(5))
    assert code_of(refused) == (409, "sequence_gap")
    assert refused.json()["error"]["details"] == {"expected": 3}
    assert _steps(stream, job) == [1, 2]


def test_up_to_the_seal_the_backlog_is_still_accepted(stream: StreamCaller) -> None:
    job = new_job()
    stream.append(job, "p", 1, metrics(1, 2))
    assert stream.seal(job, "p", 4).json() == {"producer": "p", "accepted_through": 2, "sealed_at": 4}
    assert stream.append(job, "p", 3, metrics(3)).status_code == 200
    assert stream.seal(job, "p", 99).json()["sealed_at"] == 4
    crossing = stream.append(job, "p", 4, metrics(4, 5))
    assert code_of(crossing) == (409, "producer_sealed")
    assert crossing.json()["error"]["details"] == {"sealed_at": 4, "accepted_through": 4}
    assert code_of(stream.append(job, "p", 5, metrics(5))) == (409, "producer_sealed")
    assert code_of(stream.append(job, "p", 9, metrics(9))) == (409, "producer_sealed")
    assert _steps(stream, job) == [1, 2, 3, 4]


def test_a_seal_before_the_first_event_refuses_them_all(stream: StreamCaller) -> None:
    job = new_job()
    assert stream.seal(job, "p", 0).json()["sealed_at"] == 0
    assert code_of(stream.append(job, "p", 1, metrics(1))) == (409, "producer_sealed")


def test_nothing_follows_the_terminal_event(stream: StreamCaller) -> None:
    job = new_job()
    stream.append(job, "p", 1, metrics(1))
    assert stream.append(job, "orchestrator", 1, [phase("running"), phase("succeeded")]).status_code == 200
    late = stream.append(job, "p", 2, metrics(2))
    assert code_of(late) == (409, "producer_sealed")
    assert late.json()["error"]["details"]["is_ended"] is True
    assert stream.append(job, "p", 1, metrics(1)).status_code == 200
    assert len(stream.log(job)) == 3


def test_a_terminal_event_in_the_middle_of_a_batch_is_refused_whole(stream: StreamCaller) -> None:
    job = new_job()
    assert code_of(stream.append(job, "o", 1, [phase("failed"), phase("running")])) == (422, "invalid_value")
    assert stream.log(job) == []


def test_an_unknown_producer_stands_at_zero(stream: StreamCaller) -> None:
    assert stream.mark(new_job(), "nobody") == {"producer": "nobody", "accepted_through": 0, "sealed_at": None}


def test_names_that_differ_only_in_case_are_different(stream: StreamCaller) -> None:
    job = new_job()
    stream.append(job, "Writer", 1, metrics(1))
    assert stream.append(job, "writer", 1, metrics(2)).json()["accepted_through"] == 1
    assert _steps(stream, job) == [1, 2]


def test_every_script_and_escape_comes_back_as_it_was_sent(stream: StreamCaller) -> None:
    job = new_job()
    data = {"text": "训练 \U0001f600 \u2028 \x00 \n\r data: x\n\nid: 9", "deep": {"a": [1, 2.5, None, True]}}
    event = {"event_type": "log", "timestamp": "2026-01-01T05:00:00.123456+05:00", "data": data}
    assert stream.append(job, "p", 1, [event]).status_code == 200
    [kept] = stream.log(job)
    assert kept["data"] == data
    assert kept["timestamp"] == "2026-01-01T00:00:00.123456Z"


def test_figures_that_are_not_numbers_become_null_and_are_named(stream: StreamCaller) -> None:
    job = new_job()
    body = (
        '{"producer":"p","first_seq":1,"events":[{"event_type":"metrics_update","timestamp":"' + NOW + '",'
        '"data":{"step":1,"train_loss":NaN,"learning_rate":1e999,"advanced_metrics":{"gradient_norm":-Infinity}}}]}'
    )
    answer = stream.http.post(
        f"/v1/topics/job:{job}/events", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 200
    data = stream.log(job)[0]["data"]
    assert data["train_loss"] is None
    assert data["non_finite"] == ["advanced_metrics.gradient_norm", "learning_rate", "train_loss"]


def test_large_events_make_a_page_shorter_but_lose_nothing(stream: StreamCaller) -> None:
    job = new_job()
    for first in range(1, 601, 100):
        events = metrics(*range(first, first + 100), padding="x" * 5_000)
        assert stream.append(job, "p", first, events).status_code == 200
    page = stream.http.get(f"/v1/topics/job:{job}/events", params={"limit": 1000}).json()
    assert len(page["data"]) < 600
    assert page["has_more"] is True
    assert _steps(stream, job) == list(range(1, 601))


def test_history_has_the_newest_of_each_step_and_current_the_newest_of_each_figure(stream: StreamCaller) -> None:
    job = new_job()
    stream.append(job, "a.1", 1, metrics(1, 2, 3, train_loss=1.0, only_old=5))
    stream.append(job, "a.2", 1, metrics(2, 3, attempt=2, train_loss=0.5))
    stream.append(job, "a.2", 3, metrics(3, attempt=2, val_loss=0.7))
    stream.append(job, "a.1", 4, metrics(4, train_loss=9.0))

    def history(**query: int) -> dict[str, object]:
        answer: dict[str, object] = stream.http.get("/api/metrics/history", params={"job_id": job, **query}).json()
        return answer

    everything = history()
    assert isinstance(everything["data"], list)
    assert [(event["data"]["step"], event["attempt"]) for event in everything["data"]] == [
        (1, 1),
        (2, 2),
        (3, 2),
        (4, 1),
    ]
    assert everything["data"][2]["data"] == {"step": 3, "train_loss": 0.5, "val_loss": 0.7}
    assert everything["has_more"] is False
    page = history(after=1, limit=2)
    assert isinstance(page["data"], list)
    assert [event["data"]["step"] for event in page["data"]] == [2, 3]
    assert page["has_more"] is True

    current = stream.http.get("/api/metrics/current", params={"job_id": job}).json()
    assert current["attempt"] == 2
    assert current["data"] == {"step": 3, "train_loss": 0.5, "only_old": 5, "val_loss": 0.7}


def test_a_job_without_events_has_empty_figures(stream: StreamCaller) -> None:
    job = new_job()
    assert stream.http.get("/api/metrics/current", params={"job_id": job}).json()["data"] == {}
    assert stream.http.get("/api/metrics/history", params={"job_id": job}).json() == {"data": [], "has_more": False}
