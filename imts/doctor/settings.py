"""Each service's settings, database and store, looked at by a process that has the service's own environment."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from pydantic import ValidationError

from shared.contracts.checkup import Finding, Findings, broken

_TIMEOUT_S = 60.0
WHAT: Mapping[str, tuple[str, ...]] = {
    "orchestrator": ("orchestrator.settings:OrchestratorSettings", "orchestrator.db.migrations"),
    "training": ("services.training.settings:TrainingSettings",),
    "analyzer": ("services.analyzer.settings:AnalyzerSettings",),
    "evaluator": ("services.evaluator.settings:EvaluatorSettings",),
    "stream": ("services.stream.settings:StreamSettings", "services.stream.log.migrations"),
}


def look(environments: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    """What every service would find at its start; they are asked at the same time."""
    with ThreadPoolExecutor(len(WHAT)) as pool:
        for findings in pool.map(_ask, environments, environments.values()):
            yield from findings


def _ask(service: str, environ: Mapping[str, str]) -> list[Finding]:
    argv = (sys.executable, "-m", "shared.kit.checkup", service, *WHAT[service])
    try:
        done = subprocess.run(
            argv, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_TIMEOUT_S
        )
        return Findings.model_validate_json(done.stdout).data
    except (subprocess.TimeoutExpired, ValidationError):
        return [broken(f"{service} settings", "the service cannot even begin to start", f"run `{' '.join(argv)}`")]
