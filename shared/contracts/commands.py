"""What a running training may be told beside an end: each command is carried out once and answered by an event."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator
from pydantic.alias_generators import to_camel

from shared.contracts.base import Contract, Int, JobId, Number, WireModel
from shared.contracts.jobs import Phase

CommandId = Annotated[str, StringConstraints(pattern=r"^cmd-[0-9a-z]{26}$")]


class Action(StrEnum):
    """What to do; the last three are what `…/{jobId}/pause`, `resume` and `stop` do."""

    CHECKPOINT = "checkpoint"
    EVALUATE = "evaluate"
    SET_LEARNING_RATE = "set_learning_rate"
    SET_MAX_STEPS = "set_max_steps"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


_TAKES = {"learning_rate": Action.SET_LEARNING_RATE, "max_steps": Action.SET_MAX_STEPS}


class CommandRequest(Contract):
    """One thing to do now."""

    action: Action
    learning_rate: Annotated[Number, Field(gt=0, le=1)] | None = None
    """Of `set_learning_rate`: go on as if the job's `learningRate` were this; the schedule keeps its shape."""
    max_steps: Annotated[Int, Field(ge=1, le=10_000_000)] | None = None
    """Of `set_max_steps`: the step to end at, not before the present one; the schedule is drawn anew."""

    @model_validator(mode="before")
    @classmethod
    def _look_at_what_is_missing_too(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {**{to_camel(field): None for field in _TAKES if field not in given}, **given}

    @field_validator("learning_rate", "max_steps")
    @classmethod
    def _belongs_to_its_action(cls, value: float | None, info: ValidationInfo) -> float | None:
        field = str(info.field_name)
        action = info.data.get("action")
        if action is not None and (value is not None) != (action is _TAKES[field]):
            raise ValueError(f"belongs to action {_TAKES[field]}" if value is not None else f"{action} needs it")
        return value

    @property
    def value(self) -> float | None:
        """What the action takes, if anything."""
        return self.max_steps if self.learning_rate is None else self.learning_rate


class JobCommandRequest(CommandRequest):
    """One thing to do now with the job that it names."""

    job_id: JobId


class CommandView(Contract):
    """A command that was written down, or the move that it made of the job."""

    job_id: str
    status: Phase
    action: Action
    command_id: str | None = None
    """In the event `command_carried_out` or `command_refused` that answers it; null for pause, resume and stop."""
    attempt: Int


class Command(WireModel):
    """A command as a worker gets it; the same id is the same command and is never carried out twice."""

    command_id: CommandId
    action: Action
    value: Number | Int | None = None
