"""One attempt at an export job of operation `gguf`: a model as one file for llama.cpp."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from services.training.cards import GGUF, export_card, write_card
from services.training.export import llama_cpp
from services.training.export.gguf_check import Findings, Untrue, check_gguf
from services.training.export.gguf_facts import RopeUnknown
from services.training.export.gguf_file import write_gguf
from services.training.export.gguf_quantizing import KINDS, lossless, too_narrow
from services.training.export.gguf_tensors import NoPlace, Source, sources
from services.training.export.gguf_tokens import TokenizerUnknown
from services.training.merge import merged_folder, tell
from services.training.publish import put
from shared.contracts import events
from shared.contracts.base import JsonObject
from shared.contracts.exports import GGUF_FAMILIES, ExportSpec
from shared.contracts.failures import Reason
from shared.contracts.work import ModelInput
from shared.worker.attempt import Attempt, EngineFault, Result, UserFault

_SHARD_BYTES = 5_000_000_000


def run_make_gguf(attempt: Attempt) -> Result:
    """Write the file, read it back, store it."""
    spec = ExportSpec.model_validate(attempt.spec.spec)
    model = attempt.spec.models["base"]
    try:
        tell(attempt, 0, 3, "reading the model")
        folder = merged_folder(attempt, model, _SHARD_BYTES)
        path, findings = write_checked(attempt, folder, model, spec)
        tell(attempt, 2, 3, "storing")
        figures = {"bytes": path.stat().st_size, "largest_error": findings.largest_error}
        note = f"One file for llama.cpp, quantization {spec.quantization}: {_counted(findings.types)} matrices."
        write_card(path.parent, export_card(attempt, spec, path.stem, GGUF, [note]))
        artifact = put(attempt.store, path.parent, GGUF)
    finally:
        shutil.rmtree(attempt.scratch, ignore_errors=True)
    tell(attempt, 3, 3, "stored")
    file: JsonObject = {"name": path.name, "quantization": spec.quantization.value, "types": dict(findings.types)}
    return Result(result={"file": file, "metrics": figures}, artifacts=[artifact])


def write_checked(attempt: Attempt, folder: Path, model: ModelInput, spec: ExportSpec) -> tuple[Path, Findings]:
    """The file in a folder of its own, found to hold what was asked for."""
    config = AutoConfig.from_pretrained(folder)
    tensors = _sources(folder, config)
    _require_fitting(attempt, tensors, spec)
    name = spec.output_name or f"{model.name}-{spec.quantization}"
    target = attempt.scratch / GGUF / f"{name}.gguf"
    target.parent.mkdir(parents=True)
    _tell_windows(attempt, config)
    tell(attempt, 1, 3, "writing")
    try:
        _write(folder, config, tensors, target, spec, model.name)
        findings = check_gguf(target, tensors, spec.quantization)
    except TokenizerUnknown as fault:
        raise _refusal(f"the tokenizer cannot be put into a GGUF file: {fault}") from None
    except RopeUnknown as fault:
        raise _refusal(
            f"positions stretched by {fault} cannot be put into a GGUF file; linear, llama3 and yarn can"
        ) from None
    except Untrue as fault:
        raise EngineFault(Reason.ENGINE_FAILED, f"the file is not what was to be written: {fault}") from None
    if findings.fallbacks:
        _tell_fallbacks(attempt, findings, spec)
    return target, findings


def _sources(folder: Path, config: Any) -> list[Source]:
    if config.model_type not in GGUF_FAMILIES:
        raise _refusal(
            f"models of family {config.model_type} cannot be written as GGUF; {', '.join(GGUF_FAMILIES)} can"
        )
    try:
        return sources(folder, config)
    except NoPlace as fault:
        raise _refusal(f"llama.cpp has no place for the model's tensor {fault}") from None


def _write(folder: Path, config: Any, tensors: list[Source], target: Path, spec: ExportSpec, name: str) -> None:
    if not spec.quantization.needs_llama_cpp:
        write_gguf(folder, config, tensors, target, spec.quantization, name)
        return
    plain = target.parent.parent / "plain.gguf"
    write_gguf(folder, config, tensors, plain, lossless(tensors), name)
    llama_cpp.quantize(plain, target, spec.quantization)
    plain.unlink()


def _require_fitting(attempt: Attempt, tensors: list[Source], spec: ExportSpec) -> None:
    """Refuse what would come out as something else, before any work is done."""
    if spec.quantization.needs_llama_cpp and not llama_cpp.is_installed():
        raise _refusal(
            f"quantization {spec.quantization} is written by llama.cpp, which this worker does not have: install"
            f" {llama_cpp.EXTRA} there (a build of several minutes), or choose q8_0, f16, bf16 or f32"
        )
    narrow = too_narrow(tensors, spec.quantization)
    if narrow and not spec.allow_fallback:
        block, count = KINDS[spec.quantization].block, sum(tensor.is_matrix for tensor in tensors)
        raise _refusal(
            f"quantization {spec.quantization} needs rows of a multiple of {block} numbers, and {len(narrow)} of"
            f" {count} matrices have others ({narrow[0].name}: {narrow[0].shape[1]}): they would get another type."
            f" Choose a quantization with smaller blocks (f16 fits all), or take that with allowFallback"
        )


def _refusal(message: str) -> UserFault:
    return UserFault(Reason.OPTION_UNSUPPORTED, message)


def _tell_fallbacks(attempt: Attempt, findings: Findings, spec: ExportSpec) -> None:
    got = _counted(findings.fallbacks)
    message = (
        f"not every matrix could be stored as {spec.quantization}: {got} of {findings.types.total()} took their place"
    )
    attempt.emit(events.LOG, {"level": "warning", "message": message})


def _counted(types: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in types.most_common())


def _tell_windows(attempt: Attempt, config: Any) -> None:
    window = getattr(config, "sliding_window", None)
    if window and getattr(config, "use_sliding_window", True) and window < config.max_position_embeddings:
        message = f"the model looks back {window} tokens; llama.cpp lets it look at all, which differs past that length"
        attempt.emit(events.LOG, {"level": "warning", "message": message})
