"""`/v1/models`: every model version, as OpenAI's clients list them."""

from orchestrator.dependencies import Units
from orchestrator.domain.model import ModelVersion
from shared.contracts.base import Reference
from shared.contracts.chat import ModelCard, ModelCards
from shared.contracts.models import ModelPurpose
from shared.kit.application import api_router

_MOST = 10_000
routes = api_router("/v1/models", "openai")


def _card(model: ModelVersion) -> ModelCard:
    return ModelCard(id=model.reference, created=int(model.created_at.timestamp()))


@routes.get("")
def list_models(units: Units) -> ModelCards:
    """Those that write, of the newest ten thousand; OpenAI's clients know no pages here."""
    found = units.read(lambda uow: uow.models.page(None, _MOST))
    return ModelCards(
        data=[_card(model) for model in found if model.purpose is ModelPurpose.CHAT and not model.takes_images]
    )


@routes.get("/{model}")
def get_model(model: Reference, units: Units) -> ModelCard:
    """By `name` (its newest version), `name@2` or id."""
    return _card(units.read(lambda uow: uow.models.require(model, "model")))
