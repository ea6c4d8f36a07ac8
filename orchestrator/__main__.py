"""`python -m orchestrator`."""

import tempfile

from orchestrator.app import create_app
from orchestrator.settings import OrchestratorSettings
from orchestrator.wiring import SERVICE
from shared.kit.serve import serve
from shared.kit.settings import load_settings


def main() -> None:
    """Serve until SIGTERM."""
    settings = load_settings(OrchestratorSettings)
    # Uploads spool here rather than in /tmp, which is often small and kept in memory.
    tempfile.tempdir = str(settings.data_dir / "scratch")
    serve(SERVICE, create_app(settings), settings)


if __name__ == "__main__":
    main()
