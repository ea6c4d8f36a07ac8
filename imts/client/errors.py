"""What can go wrong between a client and the mesh.

ClientError
├── ImtsApiError        the server refused: its code, message and field
└── ServerUnreachable   nobody answers, or the connection broke and did not come back
"""

import httpx
from pydantic import ValidationError

from shared.contracts.problems import Problem, ProblemBody


class ClientError(Exception):
    """Any fault of a call; `str()` is one sentence for a person."""


class ServerUnreachable(ClientError):
    """The server did not answer."""


class ImtsApiError(ClientError):
    """The server answered with an error body."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.message)
        self.status = status
        self.code = problem.code
        self.message = problem.message
        self.param = problem.param
        self.retryable = problem.retryable
        self.request_id = problem.request_id
        self.details = problem.details

    @classmethod
    def of(cls, response: httpx.Response) -> "ImtsApiError":
        """The error that a response stands for, whoever on the way wrote it."""
        try:
            problem = ProblemBody.model_validate_json(response.content, extra="ignore").error
        except ValidationError:
            message = (
                f"{response.url} answered {response.status_code} without an IMTS error body; is it an IMTS server?"
            )
            problem = Problem(type="server_error", code="unknown_answer", message=message)
        return cls(response.status_code, problem)


def unreachable(url: str, fault: httpx.HTTPError) -> ServerUnreachable:
    """The sentence for a person whose server does not answer."""
    if isinstance(fault, httpx.ReadTimeout):
        return ServerUnreachable(f"{url} took the request and did not answer in time; it may be busy, so try again")
    why = "connection refused" if "refused" in str(fault).lower() else type(fault).__name__
    return ServerUnreachable(f"no IMTS server answers at {url} ({why}); start one with `imts up`, or set IMTS_URL")
