"""Who is shown images: data sets that have some, models that take some, and which requests bring them together."""

from collections.abc import Mapping
from typing import NoReturn

from pydantic.alias_generators import to_camel

from orchestrator.domain.dataset import DatasetVersion
from orchestrator.domain.model import ModelVersion
from orchestrator.domain.submission import Named, Submission
from shared.contracts.training import Stage
from shared.contracts.tuning import ImageOptions
from shared.contracts.work import JobKind
from shared.kit.errors import InvalidRequest

_STAGES = frozenset({Stage.SFT.value, Stage.PT.value})
"""Those in which a model that takes images can be trained, the second on texts only."""


def require_sight(
    submission: Submission, datasets: Mapping[str, DatasetVersion], models: Mapping[str, ModelVersion]
) -> None:
    """InvalidRequest for images that nobody would look at, and for models whose eyes the job has no use for."""
    pictured = next((role for role, found in datasets.items() if found.images is not None), None)
    if submission.kind is JobKind.TRAINING:
        _require_learnable(submission, models["base"], submission.datasets[pictured] if pictured else None)
    if submission.kind is JobKind.ANALYSIS and pictured is not None:
        # Rows that differ in what they show alone would be told as duplicates.
        _refuse(submission.datasets[pictured].param, "this data set has images, and analysis compares texts alone")
    if submission.kind is JobKind.EVALUATION:
        if pictured is not None:
            _refuse(submission.datasets[pictured].param, "this data set has images, and evaluation shows none yet")
        for role, model in models.items():
            require_text_model(submission.models[role], model)


def require_text_model(named: Named, model: ModelVersion) -> None:
    """InvalidRequest for a model that takes images: what answers questions loads none yet."""
    if model.takes_images:
        _refuse(named.param, "this model takes images, and such models are trained and merged here, but not yet asked")


def require_plannable(model: ModelVersion) -> None:
    """InvalidRequest for a model whose images a plan would leave out of its memory and its steps."""
    if model.takes_images:
        _refuse("modelName", "trainings of models that take images are not planned yet; submit the job itself")


def _require_learnable(submission: Submission, model: ModelVersion, pictured: Named | None) -> None:
    spec = submission.spec
    if model.takes_images:
        if spec.get("stage") not in _STAGES:
            _refuse("stage", f"a model that takes images is trained by {' or '.join(sorted(_STAGES))}")
        if pictured is not None and spec.get("stage") != Stage.SFT:
            _refuse("stage", f"{pictured.param} has images, from which stage sft learns")
        if spec.get("neatPacking"):
            _refuse("neatPacking", "does not go with models that take images; use packing")
        if spec.get("parallel"):
            _refuse("parallel", "models that take images are trained by one process so far; drop it")
        return
    if pictured is not None:
        _refuse("modelName", f"{pictured.param} has images and this model takes none; name a model that does")
    for option in map(to_camel, ImageOptions.model_fields):
        if spec.get(option) is not None:
            _refuse(option, "belongs to models that take images, and this one takes none; drop it")


def _refuse(param: str, why: str) -> NoReturn:
    raise InvalidRequest(f"{param}: {why}", param=param, code="images_not_supported")
