"""Starts the evaluator: `python -m services.evaluator`."""

from services.evaluator.app import create_app
from services.evaluator.settings import EvaluatorSettings
from shared.kit.serve import serve
from shared.kit.settings import load_settings

if __name__ == "__main__":
    settings = load_settings(EvaluatorSettings)
    serve("evaluator", create_app(settings), settings)
