"""The vocabulary of every contract: casing, strict numbers, names and identifiers."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, Strict, StringConstraints
from pydantic.alias_generators import to_camel

JsonObject = dict[str, JsonValue]

Int = Annotated[int, Strict()]
"""An integer that refuses `true`, `3.0` and `"3"`."""

Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
"""A finite float that refuses `true` and `"0.1"`."""


def _is_encodable(text: str) -> str:
    """Refuse lone surrogates and control characters, which no log, database or header carries faithfully."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("must not contain lone surrogates")
    if any(ord(char) < 32 and char not in "\t\n" for char in text):
        raise ValueError("must not contain control characters")
    return text


Text = Annotated[str, AfterValidator(_is_encodable)]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A data set's or model's name: never a path, never a URL."""

REFERENCE_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(@[A-Za-z0-9][A-Za-z0-9_-]{0,31})?$"
Reference = Annotated[str, StringConstraints(pattern=REFERENCE_PATTERN)]
"""`name` (its newest version), `name@3` (that version), or an id. Other words after `@` are kept for aliases."""

JobId = Annotated[str, StringConstraints(pattern=r"^job-[0-9a-z]{26}$")]
RunId = Annotated[str, StringConstraints(pattern=r"^run-[0-9a-z]{26}$")]
"""A run of somebody's own trainer: it has a log as a job has, and no orchestrator."""
SweepId = Annotated[str, StringConstraints(pattern=r"^swp-[0-9a-z]{26}$")]
LogId = Annotated[str, StringConstraints(pattern=r"^(job|run)-[0-9a-z]{26}$")]
"""Whose log is asked for: a job's or a run's."""
AttemptId = Annotated[str, StringConstraints(pattern=r"^job-[0-9a-z]{26}\.[1-9][0-9]{0,5}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Contract(BaseModel):
    """A shape of the job API: camelCase out, both cases in, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )


class WireModel(BaseModel):
    """A shape of the event log and the worker protocol: snake_case both ways, unknown fields refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())
