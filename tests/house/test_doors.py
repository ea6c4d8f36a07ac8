"""One outside library has one door; faults, the environment and printing have theirs."""

import ast
import subprocess
import sys

import pytest

from tools.source import ROOT, Module, modules

DOORS = {
    "alembic": ("shared/kit/migrations.py", "/migrations/"),
    "cryptography": ("shared/kit/sealing.py",),
    "fsspec": ("shared/kit/artifacts.py",),
    "gguf": ("services/training/export/",),
    "httpx": (
        "shared/kit/peer.py",
        "shared/kit/upstream.py",
        "shared/kit/egress.py",
        "shared/kit/ollama.py",
        "services/training/export/hub.py",
        "imts/",
    ),
    "httpx_sse": ("imts/",),
    "huggingface_hub": ("services/training/export/hub.py",),
    "loguru": ("shared/kit/logs.py",),
    "itsdangerous": ("shared/kit/auth.py",),
    "llama_cpp": ("services/training/export/llama_cpp.py",),
    "llamafactory": ("services/training/", "shared/generation/templates.py"),
    "peft": ("services/training/", "shared/generation/"),
    "PIL": ("shared/datasets/pictures.py",),
    "prometheus_client": ("shared/kit/metrics.py",),
    "pyarrow": ("shared/datasets/", "services/training/"),
    "redis": ("services/stream/", "shared/kit/checkup.py"),
    "sqlalchemy": (
        "shared/kit/sql.py",
        "shared/kit/dump.py",
        "shared/kit/backup.py",
        "shared/kit/checkup.py",
        "shared/kit/schema.py",
        "shared/kit/migrations.py",
        "orchestrator/db/",
        "services/stream/log/",
    ),
    "sse_starlette": ("services/stream/",),
    "torch": ("services/training/", "services/evaluator/", "shared/generation/"),
    "transformers": ("services/training/", "shared/generation/", "imts/tracking/transformers.py"),
    "uvicorn": ("shared/kit/serve.py", "services/stream/handoff.py"),
}
MAY_CATCH_EVERYTHING = {
    "shared/kit/tasks.py": "the supervisor of background tasks",
    "orchestrator/reconciler/loop.py": "the reconciler's loop",
    "shared/worker/engine.py": "the engine's last line: a crash becomes a failure with a reason",
}
MAY_READ_ENVIRONMENT = (
    "shared/kit/settings.py",
    "shared/worker/",
    "services/training/llama_factory.py",
    "services/training/ppo/llama_factory.py",
    "imts/",
)
ALL = modules()
by_name = pytest.mark.parametrize("module", ALL, ids=lambda module: module.name)


@by_name
def test_an_outside_library_is_imported_at_its_door_only(module: Module) -> None:
    strays = {
        name
        for name in module.imports()
        if (doors := DOORS.get(name.partition(".")[0])) and not any(door in module.name for door in doors)
    }
    assert strays == set()


@by_name
def test_only_three_places_catch_everything(module: Module) -> None:
    broad = [
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
        and not isinstance(node.body[-1], ast.Raise)
    ]
    assert broad == [] or module.name in MAY_CATCH_EVERYTHING


@by_name
def test_only_settings_read_the_environment(module: Module) -> None:
    reads = [
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    ]
    assert reads == [] or module.name.startswith(MAY_READ_ENVIRONMENT)


@by_name
def test_log_messages_are_constants(module: Module) -> None:
    formatted = [
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "logger"
        and node.args
        and isinstance(node.args[0], ast.JoinedStr)
    ]
    assert formatted == []


def test_a_shepherd_imports_nothing_but_the_standard_library() -> None:
    told = (
        "import sys; known = set(sys.modules); import shared.worker.shepherd; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - known})"
    )
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(found.stdout.split()) - sys.stdlib_module_names == {"setproctitle", "shared"}
