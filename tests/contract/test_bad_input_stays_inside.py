"""Malicious models, data sets and parameters sent to the real services, while the kernel says what these touch."""

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic.alias_generators import to_camel

from tests.conftest import SERVICE_SECRET
from tests.model_folders import GOOD, Files
from tests.ports import free_port
from tests.traced import Traced, require_tracing, traced
from tests.unit.datasets.pictures import packed
from tests.waiting import eventually
from tools.source import ROOT

KEY = "imts-key-for-malice"
DISCARD = 9
"""Of the services that are not there: nothing listens on this port."""
_CODE = tuple(Path(part) for part in (sys.prefix, sys.base_prefix, ROOT, "/usr", "/lib", "/lib64", "/proc", "/sys"))


@dataclass
class Watched:
    """Both services, a file that nothing may open, and a port that nobody may call."""

    api: httpx.Client
    services: dict[str, Traced]
    outside: Path
    folder: Path
    ports: set[int]
    job_id: str = ""
    usual: frozenset[Path] = frozenset()
    """Strays of honest requests: what starting a child process looks at."""

    def forget(self) -> None:
        """Look only at what comes from now on."""
        for service in self.services.values():
            service.forget()

    def strays(self) -> set[Path]:
        """Files touched that are neither the services' own nor their program."""
        roots = (*_CODE, *(self.folder / name for name in self.services))
        touched = set().union(*(service.files() for service in self.services.values()))
        return {path for path in touched if not any(path.is_relative_to(root) for root in roots)} - self.usual

    def strangers(self) -> set[tuple[str, int]]:
        """Addresses called that are not the mesh's."""
        called = set().union(*(service.called() for service in self.services.values()))
        return {(host, port) for host, port in called if (host, port) not in {("127.0.0.1", one) for one in self.ports}}


def _environment(folder: Path, ports: dict[str, int]) -> dict[str, str]:
    nobody = f"http://127.0.0.1:{DISCARD}"
    return {
        "PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "UV_USE_IO_URING": "0",
        "IMTS_SERVICE_SECRET": SERVICE_SECRET, "IMTS_API_KEY": KEY, "IMTS_ARTIFACTS_URL": str(folder / "orchestrator"),
        "IMTS_ORCHESTRATOR_URL": f"http://127.0.0.1:{ports['orchestrator']}", "IMTS_STREAM_URL": nobody,
        "ORCHESTRATOR_PORT": str(ports["orchestrator"]), "ORCHESTRATOR_DATA_DIR": str(folder / "orchestrator"),
        "ORCHESTRATOR_TRAINING_URL": f"http://127.0.0.1:{ports['training']}",
        "ORCHESTRATOR_ANALYZER_URL": nobody, "ORCHESTRATOR_EVALUATOR_URL": nobody,
        "TRAINING_PORT": str(ports["training"]), "TRAINING_DATA_DIR": str(folder / "training"), "TRAINING_SPARES": "0",
    }  # fmt: skip


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", trust_env=False, timeout=10).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The orchestrator and the training service, both traced, with a data set, a model and a job that waits."""
    require_tracing()
    folder = tmp_path_factory.mktemp("watched")
    (outside := folder / "outside").mkdir()
    (outside / "secret.json").write_text('{"secret": "found"}')
    ports = {name: free_port() for name in ("orchestrator", "training")}
    environment = _environment(folder, ports)
    modules = {"orchestrator": "orchestrator", "training": "services.training"}
    with ExitStack() as stack, socket.create_server(("127.0.0.1", 0)):
        services = {}
        for name, module in modules.items():
            (folder / name).mkdir()
            command = [sys.executable, "-m", module]
            services[name] = stack.enter_context(traced(command, folder / name, environment))
        urls = [f"http://127.0.0.1:{port}" for port in ports.values()]
        eventually(lambda: all(map(_is_up, urls)), within_s=90)
        headers = {"authorization": f"Bearer {KEY}"}
        api = stack.enter_context(httpx.Client(base_url=urls[0], headers=headers, trust_env=False, timeout=60))
        found = Watched(api, services, outside, folder, {*ports.values(), DISCARD})
        found.forget()
        prepare(found)
        found.usual = frozenset(found.strays())
        assert not any(path.is_relative_to(outside) for path in found.usual)
        yield found


def prepare(watched: Watched) -> None:
    """What honest requests leave, so that bad ones are refused for what is bad in them."""
    row = json.dumps({"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]})
    for content in (row, '{"nothing": 1}'):
        watched.api.post("/api/datasets", files={"file": ("a.jsonl", content)}, data={"name": "facts"})
    assert send_model(watched, {}, "base").status_code == 201
    answer = watched.api.post(
        "/api/training/jobs", json={"modelName": "base", "dataset": "facts", "memoryGb": 900_000.0}
    )
    assert answer.status_code == 202, answer.text
    watched.job_id = answer.json()["jobId"]
    watched.api.post("/api/training/plan", json={})
    watched.api.get("/api/jobs")


def send_model(watched: Watched, files: Files, name: str = "evil") -> httpx.Response:
    parts = [("files", (filename, content)) for filename, content in {**GOOD, **files}.items()]
    return watched.api.post("/api/models", files=parts, data={"name": name})


def _config(**entries: Any) -> Files:
    return {"config.json": json.dumps({"model_type": "llama", **entries}).encode()}


ALIAS_BOMB = "a: &a [x,x]\n" + "".join(f"{b}: &{b} [*{a},*{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
PICKLE = b"\x80\x02cos\nsystem\nq\x00X\x04\x00\x00\x00trueq\x01\x85q\x02Rq\x03."
FIELDS: dict[str, tuple[str, Callable[[Watched], Any]]] = {
    "an absolute model path": ("modelName", lambda w: str(w.outside)),
    "a model's URL": ("modelName", lambda w: "https://127.0.0.1:1/m"),
    "a remote data set": ("dataset", lambda w: "REMOTE:evil/d"),
    "a data set's path": ("dataset", lambda w: str(w.outside / "secret.json")),
    "a data set's script": ("script_url", lambda w: str(w.outside / "secret.py")),
    "a file in a cloud": ("cloud_file_name", lambda w: "s3://evil/d.json"),
    "deepspeed": ("deepspeed", lambda w: str(w.outside / "secret.json")),
    "output_dir": ("output_dir", lambda w: str(w.outside)),
    "report_to": ("report_to", lambda w: "wandb"),
    "trust_remote_code": ("trust_remote_code", lambda w: True),
    "adapter_name_or_path": ("adapter_name_or_path", lambda w: str(w.outside)),
    "media_dir": ("media_dir", lambda w: str(w.outside)),
    "resume_from_checkpoint": ("resume_from_checkpoint", lambda w: str(w.outside)),
    "push_to_hub": ("push_to_hub", lambda w: True),
    "an interpolation": ("outputName", lambda w: "${oc.env:IMTS_SERVICE_SECRET}"),
    "a YAML tag": ("outputName", lambda w: "!!python/object/apply:os.system [id]"),
    "an alias bomb": ("outputName", lambda w: ALIAS_BOMB),
    "an environment": ("env", lambda w: {"LD_PRELOAD": str(w.outside / "evil.so"), "RDZV_ID": "1"}),
    "a billion epochs": ("epochs", lambda w: 1e9),
}
"""Cases 16 to 20 and 26 to 38 of the corpus: the field that the answer must name, and what is sent in it."""
FILES: dict[str, Files] = {
    "pickled weights": {"pytorch_model.bin": PICKLE},
    "pickled optimizer": {"optimizer.pt": PICKLE},
    "an attention kernel": _config(_attn_implementation_internal="evil/kernel"),
    "code of the model": _config(auto_map={"AutoModel": "evil--modeling.Evil"}),
    "remote code": _config(text_config={"trust_remote_code": True}),
    "a template of the tokenizer": {"tokenizer_config.json": b'{"chat_template": "{{\'\'.__class__}}"}'},
    "a template in a file": {"chat_template.jinja": b"{{ ''.__class__.__mro__ }}"},
    "a YAML bomb": {"config.json": ALIAS_BOMB.encode()},
}
"""Cases 21 to 25 and 36."""


def refused(answer: httpx.Response, param: str, watched: Watched) -> str:
    """The message of a refusal that names its field and echoes nothing."""
    assert answer.status_code == 422, answer.text
    assert set(answer.json()) == {"error"}
    problem = answer.json()["error"]
    named = problem["param"].rpartition(".")[2]
    assert named in {param, to_camel(param)}
    assert str(watched.outside) not in answer.text
    assert not any(word in answer.text for word in ("__class__", "oc.env", "os.system"))
    return str(problem["message"])


def send_everything(watched: Watched) -> None:
    """The whole corpus, each case by every route that takes such a thing."""
    job = {"modelName": "base", "dataset": "facts"}
    for field, value in FIELDS.values():
        body = {**job, field: value(watched)}
        for route in ("/api/training/jobs", "/api/training/plan"):
            refused(watched.api.post(route, json=body), field, watched)
        clone = watched.api.post(f"/api/jobs/{watched.job_id}/clone", json={field: value(watched)})
        refused(clone, field, watched)
        sweep = {"job": {"kind": "training", **body}, "parameters": {"batchSize": [1, 2]}}
        refused(watched.api.post("/api/sweeps", json=sweep), field, watched)
    for files in FILES.values():
        refused(send_model(watched, files), "files", watched)
    picture = json.dumps({"instruction": "<image>", "output": "it", "images": [str(watched.outside / "secret.json")]})
    for content in (picture, packed(("a.jsonl", picture.encode()), ("../a.png", b"x"))):
        answer = watched.api.post("/api/datasets", files={"file": ("a", content)}, data={"name": "evil"})
        refused(answer, "file", watched)
    for field in ("script_url", "cloud_file_name"):
        form = {"name": "evil", field: str(watched.outside / "secret.json")}
        refused(watched.api.post("/api/datasets", files={"file": ("a.jsonl", "{}")}, data=form), field, watched)
    yaml = {"content-type": "application/yaml"}
    assert watched.api.post("/api/training/jobs", content=ALIAS_BOMB, headers=yaml).status_code == 415


def test_bad_models_data_and_parameters_touch_no_file_and_call_nobody(watched: Watched) -> None:
    watched.forget()
    send_everything(watched)
    assert watched.strays() == set()
    assert watched.strangers() == set()
    touched = watched.services["orchestrator"].files()
    assert any(path.is_relative_to(watched.folder / "orchestrator" / "scratch") for path in touched), "nothing was seen"
    assert [one["name"] for one in watched.api.get("/api/models").json()["data"]] == ["base"]
    assert [one["name"] for one in watched.api.get("/api/datasets").json()["data"]] == ["facts"]
    assert [one["jobId"] for one in watched.api.get("/api/jobs").json()["data"]] == [watched.job_id]


def test_the_watch_sees_a_file_outside_and_a_call_to_a_stranger(tmp_path: Path) -> None:
    require_tracing()
    (tmp_path / "own").mkdir()
    (outside := tmp_path / "secret").write_text("found")
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        told = f"import socket; open('../secret').read(); socket.create_connection(('127.0.0.1', {port}))"
        command = [sys.executable, "-c", told]
        with traced(command, tmp_path / "own", {"PATH": os.environ["PATH"]}) as found:
            found.process.wait(60)
            assert outside in found.files()
            assert ("127.0.0.1", port) in found.called()
