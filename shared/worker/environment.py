"""The environment of engines: an allow-list, caches inside the data folder, no secret and no network for model hubs."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from shared.worker.settings import WorkerSettings

_ALLOWED = (
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES",
)  # fmt: skip
_FIXED = {
    "PYTHONUNBUFFERED": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_CACHES = {"HF_HOME": "huggingface", "HF_DATASETS_CACHE": "datasets", "XDG_CACHE_HOME": "xdg", "MPLCONFIGDIR": "mpl"}


def engine_environment(own: Mapping[str, str], cache: Path, further: Iterable[str] = ()) -> dict[str, str]:
    """What engines and shepherds see of `own`; `further` names more variables to pass on."""
    inherited = {name: own[name] for name in (*_ALLOWED, *further) if name in own}
    caches = {name: str(cache / folder) for name, folder in _CACHES.items()}
    return {**_FIXED, **caches, **inherited}


def cache_of(settings: WorkerSettings) -> Path:
    """Where engines keep what they can fetch again; made when it is missing."""
    cache = settings.data_dir.resolve() / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def own_engine_environment(settings: WorkerSettings) -> dict[str, str]:
    """The environment of this service's engines."""
    return engine_environment(os.environ, cache_of(settings), settings.engine_environment)


@contextmanager
def lent(variables: Mapping[str, str]) -> Iterator[None]:
    """Let what is started meanwhile see these variables."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
