"""One attempt at an export job of operation `make_tiny`: a base model and tokenizer made from a data set's texts."""

import shutil

from services.training.cards import MODEL, made_card
from services.training.devices import fit_threads
from services.training.export import tiny_tokenizer, tiny_vision
from services.training.export.tiny import make_tiny
from services.training.publish import publish_model
from services.training.questions import questions
from services.training.recipe import TRAIN
from shared.contracts import events
from shared.contracts.base import JsonObject
from shared.contracts.failures import Reason
from shared.contracts.models import MakeTinySpec
from shared.worker.attempt import Attempt, Result, UserFault


def run_make_tiny(attempt: Attempt) -> Result:
    """Make the model, store it, describe it."""
    spec = MakeTinySpec.model_validate({key: value for key, value in attempt.spec.spec.items() if key != "operation"})
    _tell(attempt, 0, "reading texts")
    texts = list(questions(attempt.store.local_path(attempt.spec.datasets[TRAIN].sha256)))
    if not texts:
        raise UserFault(Reason.NO_TRAINABLE_ROWS, "the data set has no text to make a tokenizer from")
    fit_threads(_float32_bytes(spec))
    _tell(attempt, 1, "tokenizer and pre-training")
    try:
        report = make_tiny(
            texts,
            attempt.scratch / "model",
            seed=spec.seed,
            hidden_size=spec.hidden_size,
            layers=spec.layers,
            heads=spec.heads,
            vocab_size=spec.vocab_size,
            pretrain_steps=spec.pretrain_steps,
            takes_images=spec.takes_images,
        )
        _tell(attempt, 2, "storing")
        figures: JsonObject = {"vocab_size": report.vocab_size, "pretrain_loss": report.pretrain_loss}
        card = made_card(attempt, spec.name, "make_tiny", MODEL, figures)
        artifact = publish_model(attempt.store, report.path, attempt.scratch / "published", card)
    finally:
        shutil.rmtree(attempt.scratch, ignore_errors=True)
    _tell(attempt, 3, "made")
    model = {
        "name": spec.name,
        "base": artifact.sha256,
        "adapter": None,
        "template": (tiny_vision if spec.takes_images else tiny_tokenizer).TEMPLATE,
        "takes_images": spec.takes_images,
        "parameters": report.parameters,
    }
    return Result(result={"model": model, "metrics": figures}, artifacts=[artifact])


def _float32_bytes(spec: MakeTinySpec) -> int:
    """Size of the model to be: embedding and head, and per layer attention (4 h²) and a feed-forward part (9 h²)."""
    return 4 * spec.hidden_size * (2 * spec.vocab_size + 13 * spec.layers * spec.hidden_size)


def _tell(attempt: Attempt, done: int, what: str) -> None:
    attempt.emit(events.PROGRESS, {"done": done, "total": 3, "what": what})
