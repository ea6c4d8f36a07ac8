"""The short way takes plain requests only; whatever needs decoding or an error is FastAPI's."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.stream.api.express import _query, _wish
from shared.contracts.base import LogId
from shared.contracts.events import MAX_SEQ

JOB = "job-01jc3v1zvq8k4s2m6t9x5w7y0a"


def _scope(path: str, query: str) -> dict[str, Any]:
    return {"path": path, "query_string": query.encode()}


def test_a_plain_request_says_what_it_wants() -> None:
    by_job, by_topic = "/api/stream/metrics", "/v1/topics/{topic}/stream"
    assert _wish(_scope(by_job, f"job_id={JOB}")) == (by_job, f"job:{JOB}", 0)
    assert _wish(_scope(by_job, f"after=7&ticket=a.b-c_d&job_id={JOB}")) == (by_job, f"job:{JOB}", 7)
    assert _wish(_scope("/v1/topics/project:Vision/stream", "")) == (by_topic, "project:Vision", 0)
    assert _wish(_scope("/v1/topics/project:Vision/stream", "after=3")) == (by_topic, "project:Vision", 3)


@pytest.mark.parametrize(
    ("path", "query"),
    [("/api/stream/metrics", query) for query in (
        "", "after=1", "job_id=", "job_id=../x", f"job_id={JOB}&after=-1", f"job_id={JOB}&after=",
        f"job_id={JOB}&job_id={JOB}",
        f"job_id={JOB}&after=1&after=2", f"job_id={JOB}&after=%31", f"job_id={JOB}&after=٣", f"job_id={JOB}&more=1",
        f"job_id={JOB}&after={'9' * 16}", f"job_id={JOB}\n", f"job_id={JOB}&",
    )]
    + [("/v1/topics/job:../stream", ""), ("/v1/topics/other:x/stream", ""),
       (f"/v1/topics/job:{JOB}/stream", f"job_id={JOB}"), (f"/v1/topics/job:{JOB}/events", ""), ("/healthz", "")],
)  # fmt: skip
def test_every_other_request_goes_the_usual_way(path: str, query: str) -> None:
    assert _wish(_scope(path, query)) is None


@given(st.text(alphabet="joab_iderftck=&0123456789-%+", max_size=60))
def test_what_it_takes_the_routes_would_take_as_well(text: str) -> None:
    found = _query(text.encode())
    if found is not None and "job_id" in found:
        TypeAdapter(LogId).validate_python(found["job_id"])
    if found is not None and "after" in found:
        assert 0 <= int(found["after"]) <= MAX_SEQ
