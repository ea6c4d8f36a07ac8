"""A fault crosses the wire and comes back as the same class."""

import httpx
import pytest

from shared.kit.error_handlers import problem_response
from shared.kit.errors import Conflict, ImtsError, NotFound, RateLimited, SequenceGap, ServerFault, error_for
from shared.kit.peer import fault_of


@pytest.mark.parametrize(
    "fault",
    [NotFound("no such job", code="job_not_found"), SequenceGap("hole", details={"expected": 7}), RateLimited("full")],
)
def test_a_fault_survives_the_wire(fault: ImtsError) -> None:
    sent = problem_response(fault)
    back = fault_of("stream", httpx.Response(sent.status_code, content=bytes(sent.body)))
    assert type(back) is type(fault)
    assert (back.code, back.message, back.details) == (fault.code, fault.message, fault.details)


def test_an_answer_without_the_error_body_is_classed_by_its_status() -> None:
    assert type(fault_of("x", httpx.Response(404, content=b"<html>"))) is NotFound
    assert type(fault_of("x", httpx.Response(502, content=b""))) is ServerFault


def test_a_code_we_do_not_know_falls_back_to_its_status() -> None:
    assert error_for(409, "newer_than_us") is Conflict


def test_details_are_absent_unless_a_code_has_some() -> None:
    assert b"details" not in bytes(problem_response(NotFound("x")).body)
