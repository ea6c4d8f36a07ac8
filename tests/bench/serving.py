"""Chat completions for eight callers at once, beside `llamafactory-cli api` on the same tiny model, in turns."""

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from shared.kit.artifacts import ArtifactStore
from tests.bench.table import Figure, median, percentile
from tests.mesh import KEY, Mesh
from tests.ports import free_port
from tests.stories import add_example, submit, wait_for
from tests.waiting import eventually

CALLERS = 8
WINDOW_S = 8.0
TOKENS = 48
SWITCHES = 60
ADAPTERS = 6
_QUESTION = "What is 17 + 25? Explain every step."


@contextmanager
def _peer(model: Path, work: Path) -> Iterator[str]:
    """`llamafactory-cli api` on the model; its `/v1`."""
    port = free_port()
    config = {"model_name_or_path": str(model), "template": "chatml", "infer_backend": "huggingface"}
    (work / "api.yaml").write_text(yaml.safe_dump({**config, "infer_dtype": "float32", "trust_remote_code": False}))
    command = [str(Path(sys.executable).parent / "llamafactory-cli"), "api", str(work / "api.yaml")]
    environment = {
        **os.environ, "API_HOST": "127.0.0.1", "API_PORT": str(port), "HF_HUB_OFFLINE": "1",
        "DISABLE_VERSION_CHECK": "1",
        # At its best: two threads that wait for each other make it several times slower.
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    with (work / "api.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        url = f"http://127.0.0.1:{port}/v1"

        def is_up() -> bool:
            assert process.poll() is None, (work / "api.log").read_text()
            try:
                return httpx.get(f"{url}/models", trust_env=False).is_success
            except httpx.TransportError:
                return False

        try:
            eventually(is_up, within_s=120)
            yield url
        finally:
            # The command starts a process of its own: both are in the session that was made for them.
            os.killpg(process.pid, 9)
            process.wait(30)


class Callers:
    """Eight callers of one server, each with its connection."""

    def __init__(self, url: str, model: str) -> None:
        self._url = url
        self._model = model

    def client(self) -> httpx.Client:
        """A caller's connection."""
        headers = {"authorization": f"Bearer {KEY}"}
        return httpx.Client(base_url=self._url, headers=headers, timeout=120, trust_env=False)

    def ask(self, client: httpx.Client, model: str = "") -> dict[str, Any]:
        """One answer."""
        body = {
            "model": model or self._model, "messages": [{"role": "user", "content": _QUESTION}], "temperature": 0,
            "max_tokens": TOKENS,
        }  # fmt: skip
        answer = client.post("chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def rate(self) -> tuple[float, list[float]]:
        """Answers per second over a window, and how long each took."""
        taken: list[float] = []
        until = time.perf_counter() + WINDOW_S

        def call() -> None:
            with self.client() as client:
                while time.perf_counter() < until:
                    began = time.perf_counter()
                    self.ask(client)
                    taken.append(time.perf_counter() - began)

        began = time.perf_counter()
        threads = [threading.Thread(target=call) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(taken) / (time.perf_counter() - began), taken


def _adapters(mesh: Mesh) -> list[str]:
    """LoRA adapters upon the tiny model."""
    fields = {"modelName": "blank", "maxSteps": 20}
    seeds = range(ADAPTERS)
    jobs = [submit(mesh, seed=seed, outputName=f"tuned-{seed}", **fields) for seed in seeds]
    for job_id in jobs:
        assert wait_for(mesh, job_id)["status"] == "succeeded"
    return [f"tuned-{seed}@1" for seed in seeds]


def _switching(ours: Callers, adapters: list[str]) -> list[Figure]:
    """What it costs that another adapter is asked for than the time before: first, and from then on."""

    def timed(client: httpx.Client, model: str) -> float:
        began = time.perf_counter()
        ours.ask(client, model)
        return 1e3 * (time.perf_counter() - began)

    with ours.client() as client:
        first = timed(client, adapters[0])
        loaded = [timed(client, adapter) for adapter in adapters[1:]]
        same: list[float] = []
        other: list[float] = []
        for _, adapter in zip(range(SWITCHES), itertools.cycle(adapters[:2]), strict=False):
            other.append(timed(client, adapter))
            same.append(timed(client, adapter))
    # In pairs: one adapter's answer may be longer than the other's.
    cost = median([changed - again for changed, again in zip(other, same, strict=True)])
    kept = median(same)
    loads = [taken - kept for taken in loaded]
    load = median(loads)
    return [
        Figure("an answer by the adapter of the answer before", median(same), "ms", samples=same),
        Figure("an answer by another adapter in memory", median(other), "ms", samples=other),
        Figure("adapter switch", cost, "ms", "≤ 50", cost <= 50),
        Figure("adapter switch, load from the store included", load, "ms", "≤ 50", load <= 50, samples=loads),
        Figure("the first answer upon a base with its first adapter", first, "ms"),
    ]


def measure(mesh: Mesh, folder: Path, rounds: int) -> list[Figure]:
    """Windows of both servers in turns; ratio of medians."""
    add_example(mesh, folder / "example")
    # Random weights never come to an end by themselves: every answer is as long as every other.
    mesh.cli("models", "make-tiny", "blank", "--from", "arithmetic-train", "--pretrain-steps", "0")
    adapters = _adapters(mesh)
    store = ArtifactStore(str(mesh.folder / "artifacts"), folder / "cache")
    model = store.materialise(mesh.api.get("/api/models/blank").json()["base"])
    with _peer(model, folder) as url:
        ours, plain = Callers(f"{mesh.url('orchestrator')}/v1", "blank@1"), Callers(url, "blank")
        with ours.client() as one, plain.client() as other:
            answers = [ours.ask(one), plain.ask(other)]
        lengths = [answer["usage"]["completion_tokens"] for answer in answers]
        assert lengths[0] == lengths[1] == TOKENS, answers
        assert answers[0]["choices"][0]["message"]["content"] == answers[1]["choices"][0]["message"]["content"]
        rates: dict[str, list[float]] = {"imts": [], "llamafactory-cli api": []}
        waits: dict[str, list[float]] = {name: [] for name in rates}
        for _ in range(rounds):
            for name, callers in (("imts", ours), ("llamafactory-cli api", plain)):
                rate, taken = callers.rate()
                rates[name].append(rate)
                waits[name] += taken
    ratio = median(rates["imts"]) / median(rates["llamafactory-cli api"])
    figures = [
        Figure(f"{name}: {CALLERS} callers, {TOKENS} tokens each", median(found), "req/s", samples=found)
        for name, found in rates.items()
    ]
    figures += [
        Figure(f"{name}: p95 of an answer", 1e3 * percentile(found, 0.95), "ms") for name, found in waits.items()
    ]
    return [*figures, Figure("requests/s, imts / peer", ratio, "ratio", "≥ 4", ratio >= 4), *_switching(ours, adapters)]
