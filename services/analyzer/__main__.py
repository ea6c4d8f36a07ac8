"""Starts the analyzer: `python -m services.analyzer`."""

from services.analyzer.app import create_app
from services.analyzer.settings import AnalyzerSettings
from shared.kit.serve import serve
from shared.kit.settings import load_settings

if __name__ == "__main__":
    settings = load_settings(AnalyzerSettings)
    serve("analyzer", create_app(settings), settings)
