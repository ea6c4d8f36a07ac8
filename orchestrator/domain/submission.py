"""What each kind of request asks for: the spec as it is stored, and the names it needs resolved."""

from dataclasses import dataclass, field

from shared.contracts.analysis import AnalysisSpec
from shared.contracts.base import Contract, JsonObject
from shared.contracts.datasets import DatasetFormat
from shared.contracts.evaluation import EvaluationSpec
from shared.contracts.exports import ExportSpec, Operation
from shared.contracts.models import MakeTinySpec, ModelPurpose
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
    Stage.RM: frozenset({DatasetFormat.PREFERENCE}),
    Stage.KTO: frozenset({DatasetFormat.KTO}),
    Stage.PPO: _CHAT | {DatasetFormat.PREFERENCE, DatasetFormat.KTO},
}
"""What each training stage can learn from."""


_CHAT_ONLY = frozenset({ModelPurpose.CHAT})
_ANY = frozenset(ModelPurpose)
RATER = "reward"
"""The role of the model that rates what another one writes."""


@dataclass(frozen=True, slots=True)
class Named:
    """A reference in a request, and the field it stood in."""

    reference: str
    param: str
    purposes: frozenset[ModelPurpose] = _CHAT_ONLY
    """Of a model: what it may be made for."""


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
    needs_adapter: bool = False
    """Whether the models must have one on top of their base."""


def _named(**references: tuple[str | None, str]) -> dict[str, Named]:
    return {role: Named(name, param) for role, (name, param) in references.items() if name is not None}


def _stored(spec: Contract) -> JsonObject:
    return spec.model_dump(mode="json", exclude_none=True, exclude=set(SCHEDULING_FIELDS))


def _learnt(spec: TrainingSpec) -> dict[str, Named]:
    if spec.dataset is not None:
        return {"train": Named(spec.dataset, "dataset")}
    return {spec.role_of(index): Named(part.name, f"datasets.{index}.name") for index, part in enumerate(spec.datasets)}


def _trained(spec: TrainingSpec) -> dict[str, Named]:
    base = Named(spec.model_name, "modelName", _ANY if spec.stage.has_value_head else _CHAT_ONLY)
    if spec.reward_model is None:
        return {"base": base}
    return {"base": base, RATER: Named(spec.reward_model, "rewardModel", frozenset({ModelPurpose.REWARD}))}


def training_submission(spec: TrainingSpec) -> Submission:
    """A fine-tuning job; the output's name is fixed here, so that every attempt makes the same model."""
    if spec.output_name is None:
        name = _made_of(spec.model_name, f"-{spec.stage}-{spec.finetuning_type}")
        spec = spec.model_copy(update={"output_name": name})
    return Submission(
        JobKind.TRAINING, _stored(spec),
        _learnt(spec) | _named(validation=(spec.validation_dataset, "validationDataset")),
        _trained(spec),
        scheduling_of(spec), spec.max_retries, FORMATS_OF_STAGE[spec.stage],
    )  # fmt: skip


def analysis_submission(spec: AnalysisSpec) -> Submission:
    """A look at a data set."""
    return Submission(
        JobKind.ANALYSIS, _stored(spec),
        _named(train=(spec.dataset, "dataset"), test=(spec.test_dataset, "testDataset")),
        {} if spec.model_name is None else {"tokenizer": Named(spec.model_name, "modelName", _ANY)},
        scheduling_of(spec), spec.max_retries,
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


def export_submission(spec: ExportSpec) -> Submission:
    """A way out for a model; what a merge makes is named here, so that every attempt makes the same model."""
    is_merge = spec.operation is Operation.MERGE
    if is_merge and spec.output_name is None:
        spec = spec.model_copy(update={"output_name": _made_of(spec.model_name, "-merged")})
    return Submission(
        JobKind.EXPORT, _stored(spec), {}, _named(base=(spec.model_name, "modelName")),
        scheduling_of(spec), spec.max_retries, needs_adapter=is_merge,
    )  # fmt: skip


def _made_of(reference: str, suffix: str) -> str:
    return reference.partition("@")[0][: _NAME_LENGTH - len(suffix)] + suffix


def require_adapter(submission: Submission, named: Named, adapter: str | None) -> None:
    """Refuse to merge what is one model already."""
    if submission.needs_adapter and adapter is None:
        raise InvalidRequest(
            f"{named.param}: this model has no adapter to merge; name a version that lora or oft training made",
            param=named.param, code="no_adapter",
        )  # fmt: skip


def require_format(submission: Submission, named: Named, found: DatasetFormat) -> None:
    """Refuse a data set that the stage cannot learn from."""
    if submission.formats is None or found in submission.formats:
        return
    fitting = ", ".join(sorted(submission.formats))
    raise InvalidRequest(
        f"{named.param}: this stage learns from {fitting}; the data set has form {found}",
        param=named.param, code="dataset_format_mismatch",
    )  # fmt: skip


def require_purpose(named: Named, found: ModelPurpose) -> None:
    """Refuse a model that is not made for what the request wants of it."""
    if found not in named.purposes:
        wanted = " or ".join(sorted(named.purposes))
        raise InvalidRequest(
            f"{named.param}: {named.reference} is a {found} model; name a {wanted} model",
            param=named.param, code="model_purpose_mismatch",
        )  # fmt: skip
