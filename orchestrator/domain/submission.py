"""What each kind of request asks for: the spec as it is stored, and the names it needs resolved."""

from dataclasses import dataclass, field

from shared.contracts.analysis import AnalysisSpec
from shared.contracts.base import Contract, JsonObject
from shared.contracts.datasets import DatasetFormat
from shared.contracts.evaluation import EvaluationSpec
from shared.contracts.models import MakeTinySpec
from shared.contracts.scheduling import NO_TERMS, SCHEDULING_FIELDS, Scheduling, scheduling_of
from shared.contracts.training import Stage, TrainingSpec
from shared.contracts.work import JobKind
from shared.kit.errors import InvalidRequest

_NAME_LENGTH = 96
_CHAT = frozenset({DatasetFormat.ALPACA, DatasetFormat.SHAREGPT, DatasetFormat.MESSAGES})
FORMATS_OF_STAGE = {
    Stage.SFT: _CHAT,
    Stage.PT: _CHAT | {DatasetFormat.TEXT},
    Stage.DPO: frozenset({DatasetFormat.PREFERENCE}),
    Stage.KTO: frozenset({DatasetFormat.KTO}),
}
"""What each training stage can learn from."""


@dataclass(frozen=True, slots=True)
class Named:
    """A reference in a request, and the field it stood in."""

    reference: str
    param: str


@dataclass(frozen=True, slots=True)
class Submission:
    """A request for a job, before its names are looked up."""

    kind: JobKind
    spec: JsonObject
    datasets: dict[str, Named]
    models: dict[str, Named] = field(default_factory=dict)
    terms: Scheduling = NO_TERMS
    max_retries: int = 2
    formats: frozenset[DatasetFormat] | None = None
    """Forms that the data sets may have; any when None."""


def _named(**references: tuple[str | None, str]) -> dict[str, Named]:
    return {role: Named(name, param) for role, (name, param) in references.items() if name is not None}


def _stored(spec: Contract) -> JsonObject:
    return spec.model_dump(mode="json", exclude_none=True, exclude=set(SCHEDULING_FIELDS))


def training_submission(spec: TrainingSpec) -> Submission:
    """A fine-tuning job; the output's name is fixed here, so that every attempt makes the same model."""
    if spec.output_name is None:
        base = spec.model_name.partition("@")[0]
        suffix = f"-{spec.stage}-{spec.finetuning_type}"
        spec = spec.model_copy(update={"output_name": base[: _NAME_LENGTH - len(suffix)] + suffix})
    return Submission(
        JobKind.TRAINING, _stored(spec),
        _named(train=(spec.dataset, "dataset"), validation=(spec.validation_dataset, "validationDataset")),
        _named(base=(spec.model_name, "modelName")),
        scheduling_of(spec), spec.max_retries, FORMATS_OF_STAGE[spec.stage],
    )  # fmt: skip


def analysis_submission(spec: AnalysisSpec) -> Submission:
    """A look at a data set."""
    return Submission(
        JobKind.ANALYSIS, _stored(spec),
        _named(train=(spec.dataset, "dataset"), test=(spec.test_dataset, "testDataset")),
        _named(tokenizer=(spec.model_name, "modelName")), scheduling_of(spec), spec.max_retries,
    )  # fmt: skip


def evaluation_submission(spec: EvaluationSpec) -> Submission:
    """A model's answers to a data set's questions."""
    return Submission(
        JobKind.EVALUATION, _stored(spec), _named(test=(spec.dataset, "dataset")),
        _named(model=(spec.model_name, "modelName"), baseline=(spec.baseline_model, "baselineModel")),
        scheduling_of(spec), spec.max_retries,
    )  # fmt: skip


def make_tiny_submission(spec: MakeTinySpec) -> Submission:
    """A small base model, made by the training service."""
    return Submission(
        JobKind.EXPORT, {"operation": "make_tiny", **_stored(spec)}, _named(train=(spec.from_dataset, "fromDataset"))
    )


def require_format(submission: Submission, named: Named, found: DatasetFormat) -> None:
    """Refuse a data set that the stage cannot learn from."""
    if submission.formats is None or found in submission.formats:
        return
    fitting = ", ".join(sorted(submission.formats))
    raise InvalidRequest(
        f"{named.param}: this stage learns from {fitting}; the data set has form {found}",
        param=named.param, code="dataset_format_mismatch",
    )  # fmt: skip
