"""The five services' settings classes and applications, for documents made from them."""

import ast
import inspect
import tempfile
import textwrap
from pathlib import Path

from fastapi import FastAPI

import orchestrator.app
import services.analyzer.app
import services.evaluator.app
import services.stream.app
import services.training.app
from orchestrator.settings import OrchestratorSettings
from services.analyzer.settings import AnalyzerSettings
from services.evaluator.settings import EvaluatorSettings
from services.stream.settings import StreamSettings
from services.training.settings import TrainingSettings
from shared.kit.settings import ServiceSettings

ALL: dict[str, type[ServiceSettings]] = {
    "orchestrator": OrchestratorSettings,
    "training": TrainingSettings,
    "analyzer": AnalyzerSettings,
    "evaluator": EvaluatorSettings,
    "stream": StreamSettings,
}


def meaning(kind: type[ServiceSettings], name: str) -> str:
    """The string under a field in its class's source: where this house explains attributes."""
    for owner in kind.__mro__:
        if name not in inspect.get_annotations(owner):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, after in zip(body.body, body.body[1:], strict=False):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if field.target.id == name and is_text:
                assert isinstance(after, ast.Expr)
                assert isinstance(after.value, ast.Constant)
                return " ".join(str(after.value.value).split())
    return ""


def applications(secret: str) -> dict[str, FastAPI]:
    """Each service's app, built but never started."""
    folder = Path(tempfile.gettempdir())
    told = {"service_secret": secret, "data_dir": folder}
    return {
        "orchestrator": orchestrator.app.create_app(OrchestratorSettings.model_validate(told)),
        "training": services.training.app.create_app(TrainingSettings.model_validate(told)),
        "analyzer": services.analyzer.app.create_app(AnalyzerSettings.model_validate(told)),
        "evaluator": services.evaluator.app.create_app(EvaluatorSettings.model_validate(told)),
        "stream": services.stream.app.create_app(StreamSettings.model_validate(told)),
    }
