"""What the orchestrator and the training service tell each other about serving, and that service its engine."""

from typing import Literal

from shared.contracts.base import WireModel
from shared.contracts.chat import ChatRequest
from shared.contracts.work import ModelInput


class ServingCall(WireModel):
    """A chat request with the weights that its model stands for."""

    model: ModelInput
    request: ChatRequest


class Order(WireModel):
    """A line to the engine: a call to begin, or the number of one whose caller has gone."""

    number: int
    call: ServingCall | None = None
    is_cancelled: bool = False


class Usage(WireModel):
    """Tokens of a call, in OpenAI's words."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Fault(WireModel):
    """Why there is no answer, or no more of it."""

    kind: Literal["request", "not_now"]
    """Whether the caller should ask otherwise, or again."""
    code: str
    message: str
    param: str | None = None


class Saying(WireModel):
    """What the engine says about one call: more of its answer, and with the last of it how it ended."""

    number: int
    text: str = ""
    finish_reason: Literal["stop", "length"] | None = None
    usage: Usage | None = None
    fault: Fault | None = None

    @property
    def is_last(self) -> bool:
        """Whether nothing follows."""
        return self.finish_reason is not None or self.fault is not None


class LoadedWeights(WireModel):
    """A base, or an adapter upon one, in an engine's memory."""

    base: str
    adapter: str | None = None
    megabytes: int
    rows: int
    """Answers in the making."""


class EngineNews(WireModel):
    """A line from the engine; the first one says that it is ready."""

    sayings: list[Saying] = []
    loaded: list[LoadedWeights] | None = None
    """Everything in memory, when that has changed."""


class ServingView(WireModel):
    """How serving stands at one training service."""

    worker: str = ""
    engine: Literal["off", "starting", "on"]
    in_flight: int
    """Calls that wait or are being answered."""
    most_in_flight: int
    loaded: list[LoadedWeights] = []


class ServingViews(WireModel):
    """How serving stands at each training service that answers."""

    data: list[ServingView]
