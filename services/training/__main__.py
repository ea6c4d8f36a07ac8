"""Starts the training service: `python -m services.training`."""

from services.training.app import create_app
from services.training.settings import TrainingSettings
from shared.kit.serve import serve
from shared.kit.settings import load_settings

if __name__ == "__main__":
    settings = load_settings(TrainingSettings)
    serve("training", create_app(settings), settings)
