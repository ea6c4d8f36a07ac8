"""One attempt at an export job of operation `ollama`: a model in a running Ollama server."""

import shutil
from pathlib import Path
from typing import Any

from services.training.cards import GGUF, export_card, write_card
from services.training.export.ollama_template import ollama_words
from services.training.make_gguf import write_checked
from services.training.merge import merged_folder, tell
from services.training.publish import put
from services.training.settings import EngineSettings
from shared.contracts import events
from shared.contracts.base import JsonObject
from shared.contracts.exports import ExportSpec
from shared.contracts.failures import Reason
from shared.kit.files import sha256_of
from shared.kit.ollama import Ollama, OllamaAway, OllamaRefused
from shared.kit.targets import parse_targets
from shared.worker.attempt import Attempt, EngineFault, Result, UserFault

_SHARD_BYTES = 5_000_000_000


def run_make_ollama(attempt: Attempt) -> Result:
    """Write the file, send it where it is not there yet, have the model made, and see that it is."""
    spec = ExportSpec.model_validate(attempt.spec.spec)
    url = _url(spec)
    model = attempt.spec.models["base"]
    name = spec.output_name or model.name
    try:
        tell(attempt, 0, 4, "reading the model")
        folder = merged_folder(attempt, model, _SHARD_BYTES)
        path, findings = write_checked(attempt, folder, model, spec)
        tell(attempt, 2, 4, f"sending to {spec.target}")
        details = _send(attempt, url, path, {"model": name, **ollama_words(folder, model.template)}, spec)
        tell(attempt, 3, 4, "storing")
        figures: JsonObject = {"bytes": path.stat().st_size, "largest_error": findings.largest_error}
        write_card(path.parent, export_card(attempt, spec, path.stem, GGUF, [f"In Ollama as {name}."]))
        artifact = put(attempt.store, path.parent, GGUF)
    finally:
        shutil.rmtree(attempt.scratch, ignore_errors=True)
    tell(attempt, 4, 4, "made")
    made: JsonObject = {"target": spec.target, "model": name, "details": details}
    return Result(result={"ollama": made, "metrics": figures}, artifacts=[artifact])


def _url(spec: ExportSpec) -> str:
    targets = parse_targets(EngineSettings().ollama_targets)
    if spec.target not in targets:
        known = ", ".join(sorted(targets)) or "none"
        raise UserFault(
            Reason.OPTION_UNSUPPORTED, f"target {spec.target} is not configured on this worker; configured: {known}"
        )
    return targets[spec.target]


def _send(attempt: Attempt, url: str, path: Path, words: dict[str, Any], spec: ExportSpec) -> JsonObject:
    """Have the model made; what the server then says of it."""
    digest = sha256_of(path)
    body = {**words, "files": {path.name: f"sha256:{digest}"}}
    if spec.license is not None:
        body["license"] = spec.license
    try:
        with Ollama(url) as server:
            if not server.has_blob(digest):
                server.send_blob(path, digest)
            for status in server.create(body):
                attempt.emit(events.LOG, {"level": "info", "message": f"Ollama: {status}"})
            return server.details(str(words["model"]))
    except OllamaAway as fault:
        raise EngineFault(Reason.NETWORK_FAILED, f"the Ollama server {spec.target}: {fault}") from fault
    except OllamaRefused as fault:
        raise UserFault(Reason.TARGET_REFUSED, f"the Ollama server {spec.target} refused: {fault}") from fault
