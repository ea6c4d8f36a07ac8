"""Submissions made from fields instead of a request's body, held to the very same contracts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue, ValidationError
from pydantic.alias_generators import to_camel

from orchestrator.domain.job import Job
from orchestrator.domain.submission import (
    Submission,
    analysis_submission,
    evaluation_submission,
    export_submission,
    make_tiny_submission,
    training_submission,
)
from shared.contracts.analysis import AnalysisSpec
from shared.contracts.base import Contract, JsonObject
from shared.contracts.evaluation import EvaluationSpec
from shared.contracts.exports import ExportSpec
from shared.contracts.models import MakeTinySpec
from shared.contracts.scheduling import Scheduling
from shared.contracts.training import TrainingSpec
from shared.contracts.work import JobKind
from shared.kit.error_handlers import validation_fault
from shared.kit.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class _Form:
    """What one kind of request looks like, and what it asks for."""

    contract: type[Contract]
    read: Callable[[Any], Submission]


_FORMS = {
    JobKind.TRAINING: _Form(TrainingSpec, training_submission),
    JobKind.ANALYSIS: _Form(AnalysisSpec, analysis_submission),
    JobKind.EVALUATION: _Form(EvaluationSpec, evaluation_submission),
    JobKind.EXPORT: _Form(ExportSpec, export_submission),
}
_MAKE_TINY = _Form(MakeTinySpec, make_tiny_submission)
"""The one export with an address, and so a contract, of its own."""


def _form_of(kind: JobKind, fields: JsonObject) -> _Form:
    return _MAKE_TINY if kind is JobKind.EXPORT and "operation" not in fields else _FORMS[kind]


def spelled(fields: Mapping[str, JsonValue]) -> JsonObject:
    """The fields in camelCase, dotted ones part by part; InvalidRequest when one is named in both cases."""
    found: JsonObject = {}
    for key, value in fields.items():
        name = ".".join(to_camel(part) if "_" in part else part for part in key.split("."))
        if name in found:
            raise InvalidRequest(f"{name}: is named twice", param=name)
        found[name] = value
    return found


def submission_of(kind: JobKind, fields: JsonObject) -> Submission:
    """What a request with these fields asks for; InvalidRequest names the field that its contract refuses."""
    form = _form_of(kind, fields)
    try:
        return form.read(form.contract.model_validate(fields))
    except ValidationError as fault:
        raise validation_fault(fault.errors(include_url=False, include_input=False)) from None


def fields_of(job: Job) -> JsonObject:
    """The fields of a request for another job like this one, without those that follow from others."""
    fields = dict(job.spec)
    if fields.get("operation") == "make_tiny":
        del fields["operation"]
    if issubclass(_form_of(job.kind, fields).contract, Scheduling):
        fields |= job.terms.model_dump(mode="json", exclude_defaults=True)
    if "outputName" in fields:
        bare = {name: value for name, value in fields.items() if name != "outputName"}
        # A name that was made up from the other fields is made up again, from those of the new job.
        return bare if submission_of(job.kind, bare).spec.get("outputName") == fields["outputName"] else fields
    return fields
