"""Whether two model versions read the same tokens: the same weights at the root of both."""

from orchestrator.domain.model import ModelRepository, ModelVersion
from orchestrator.domain.submission import Named
from shared.kit.errors import InvalidRequest

_LONGEST_LINE = 64
"""Of descent."""


def require_kin(models: ModelRepository, named: Named, rater: ModelVersion, base: ModelVersion) -> None:
    """Refuse a reward model that would read what the trained model writes in another tokenizer or template."""
    if rater.template == base.template and (rater.base == base.base or _root(models, rater) == _root(models, base)):
        return
    raise InvalidRequest(
        f"{named.param}: {named.reference} and {base.reference} do not come from the same base model; train a reward "
        "model on the base of the model that is to learn",
        param=named.param, code="reward_model_mismatch",
    )  # fmt: skip


def _root(models: ModelRepository, version: ModelVersion) -> str:
    """Weights of what was imported or made, as far back as is known; no training changes their tokenizer."""
    for _ in range(_LONGEST_LINE):
        before = None if version.base_model is None else models.find(version.base_model)
        if before is None:
            break
        version = before
    return version.base
