"""What `/metrics` says of appends."""

from prometheus_client.parser import text_string_to_metric_families

from tests.integration.stream.client import StreamCaller, metrics, new_job


def _told(stream: StreamCaller) -> dict[str, float]:
    """Every sample by its name, and its reason where it has one."""
    page = stream.http.get("/metrics").text
    return {
        " ".join([sample.name, *filter(None, [sample.labels.get("reason")])]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }


def test_an_append_shows_in_the_size_and_time_of_its_commit(stream: StreamCaller) -> None:
    before = _told(stream)
    job = new_job()
    stream.append(job, "p", 1, metrics(1, 2, 3))
    stream.append(job, "p", 4, metrics(4))
    after = _told(stream)
    assert after["stream_commit_events_sum"] - before["stream_commit_events_sum"] == 4
    assert after["stream_commit_events_count"] - before["stream_commit_events_count"] == 2
    assert after["stream_commit_seconds_count"] - before["stream_commit_seconds_count"] == 2
    assert after["stream_commit_seconds_sum"] > before["stream_commit_seconds_sum"]
    assert (after["stream_appends_waiting"], after["stream_appends_waiting_bytes"]) == (0, 0)


def test_a_refusal_is_counted_by_its_reason(stream: StreamCaller) -> None:
    before = _told(stream)
    job = new_job()
    stream.append(job, "p", 5, metrics(5))
    stream.seal(job, "q", 0)
    stream.append(job, "q", 1, metrics(1))
    stream.append(job, "p", 1, metrics(-1))
    after = _told(stream)
    for reason in ("sequence_gap", "producer_sealed", "invalid_value"):
        name = f"stream_appends_refused_total {reason}"
        assert after[name] - before.get(name, 0) == 1
