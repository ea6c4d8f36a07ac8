"""Resident memory of the idle services, and what a warm pair costs."""

import psutil

from tests.bench.table import Figure
from tests.mesh import Mesh

LIGHT = ("orchestrator", "analyzer", "evaluator", "stream")
_LIMIT_MB = 120


def measure(mesh: Mesh) -> list[Figure]:
    """RSS in MB (10^6 bytes) of each service at rest, and of the spare pair."""
    figures = []
    for service in (*LIGHT, "training"):
        megabytes = psutil.Process(mesh.pid_of(service)).memory_info().rss / 1e6
        is_light = service in LIGHT
        goal = f"≤ {_LIMIT_MB}" if is_light else ""
        figures.append(
            Figure(f"{service}: idle RSS", megabytes, "MB", goal, megabytes <= _LIMIT_MB if is_light else None)
        )
    figures.extend(
        Figure(f"spare {part}: RSS", process.memory_info().rss / 1e6, "MB")
        for part in ("shepherd", "engine")
        for process in mesh.titled(f"imts:{part}:spare")
    )
    return figures
