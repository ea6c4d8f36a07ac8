"""What a caller asks of a model in OpenAI's chat completions API: the fields that are understood, and no others."""

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StringConstraints, model_validator

from shared.contracts.base import Int, Number, Reference, WireModel

MAX_STOPS = 16
StopText = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Most = Annotated[Int, Field(ge=1, le=1 << 20)]


class TextPart(WireModel):
    """A piece of a message."""

    type: Literal["text"]
    text: str


class ChatMessage(WireModel):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @property
    def text(self) -> str:
        """All of it."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class StreamOptions(WireModel):
    """What a stream tells besides the answer."""

    include_usage: StrictBool | None = None


class ChatRequest(WireModel):
    """The body of `POST /v1/chat/completions`."""

    model: Reference
    """A version in the registry: `name` (its newest), `name@2` or id."""
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=4096)]
    """A system message if any, then turns of user and assistant, the last one the user's."""
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    """1 when absent; 0 always takes the likeliest token."""
    top_p: Annotated[Number, Field(gt=0, le=1)] | None = None
    max_tokens: Most | None = None
    """Longest answer; as long as the service and the model allow when absent."""
    max_completion_tokens: Most | None = None
    """The newer name of the same."""
    stop: StopText | Annotated[list[StopText], Field(max_length=MAX_STOPS)] | None = None
    seed: Annotated[Int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    logprobs: Literal[False] | None = None
    presence_penalty: Literal[0] | None = None
    frequency_penalty: Literal[0] | None = None
    user: Annotated[str, StringConstraints(max_length=512)] | None = None
    """Accepted, and not used."""

    @model_validator(mode="after")
    def _turns_alternate(self) -> Self:
        turns = [message.role for message in self.messages]
        if turns[0] in {"system", "developer"}:
            del turns[0]
        if turns != ["user", "assistant"] * (len(turns) // 2) + ["user"]:
            raise ValueError(
                "messages: send a system message if any, then user and assistant in turn, the last one the user's"
            )
        return self

    @model_validator(mode="after")
    def _options_are_of_a_stream(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options: only with `stream: true`")
        return self

    @property
    def stops(self) -> list[str]:
        """Texts that end the answer."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def most_tokens(self) -> int | None:
        """Longest answer, by either name."""
        return self.max_completion_tokens or self.max_tokens


class ModelCard(WireModel):
    """A model as `GET /v1/models` lists it."""

    id: str
    """`name@version`."""
    object: Literal["model"] = "model"
    created: int
    """Seconds since 1970."""
    owned_by: str = "imts"


class ModelCards(WireModel):
    """Every model that can be asked, newest first."""

    object: Literal["list"] = "list"
    data: list[ModelCard]
