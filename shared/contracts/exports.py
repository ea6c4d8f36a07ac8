"""What a user asks of an export job: a model merged, or written in another format."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from shared.contracts.base import Contract, Int, JobId, Name, Number, Reference, Sha256
from shared.contracts.scheduling import Scheduling


class Operation(StrEnum):
    """The ways out of a registered model."""

    MERGE = "merge"
    """Base and adapter as one plain model: a new version."""
    GGUF = "gguf"
    """One file for llama.cpp and what is built on it."""
    OLLAMA = "ollama"
    """That file in a running Ollama server."""
    HUB = "hub"
    """The version's own files as a commit of a model hub."""


class Quantization(StrEnum):
    """How the matrices of a GGUF file are stored; vectors stay in 32 bits."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"
    Q6_K = "q6_k"
    Q5_K_M = "q5_k_m"
    Q5_K_S = "q5_k_s"
    Q4_K_M = "q4_k_m"
    Q4_K_S = "q4_k_s"
    Q3_K_L = "q3_k_l"
    Q3_K_M = "q3_k_m"
    Q3_K_S = "q3_k_s"
    Q2_K = "q2_k"

    @property
    def needs_llama_cpp(self) -> bool:
        """Whether only llama.cpp itself can write it."""
        return "_k" in self.value


GGUF_FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
"""`model_type` of the models that can be written as GGUF."""
_BELONGS_TO = {
    "max_shard_gb": (Operation.MERGE,),
    "quantization": (Operation.GGUF, Operation.OLLAMA),
    "allow_fallback": (Operation.GGUF, Operation.OLLAMA),
    "target": (Operation.OLLAMA, Operation.HUB),
    "private": (Operation.HUB,),
}
_FILES_ONLY = frozenset({Operation.GGUF, Operation.OLLAMA, Operation.HUB})


def makes_model(export: Mapping[str, Any]) -> bool:
    """Whether an export job with this spec ends in a new model version; the others leave files."""
    return export.get("operation") not in _FILES_ONLY


def unused_options(export: Mapping[str, Any]) -> set[str]:
    """Names (camelCase) of what has no effect in a stored spec: options of other operations."""
    return {to_camel(option) for option, fitting in _BELONGS_TO.items() if export.get("operation") not in fitting}


def _in_small_letters(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class ExportSpec(Scheduling):
    """A way out for a model: merged, or in another format."""

    operation: Operation
    model_name: Reference
    output_name: Name | None = None
    """Of what is made: a merge's model (`<model>-merged` when absent), the file without its ending, Ollama's model,
    the hub's repository."""
    max_shard_gb: Annotated[Number, Field(ge=0.0001, le=1000)] = 5.0
    """Largest safetensors file (GB, 10^9 bytes); a single tensor is never split."""
    quantization: Annotated[Quantization, BeforeValidator(_in_small_letters)] = Quantization.Q8_0
    """`Q4_K_M` and `q4_k_m` are the same."""
    target: Annotated[Name | None, Field(validate_default=True)] = None
    """Which of the operator's Ollama servers or hubs; a name, never a URL."""
    private: bool = True
    """Whether a repository that the push makes is; one that is there stays as it is."""
    allow_fallback: bool = False
    """Take what llama.cpp puts in the place of a quantization that some matrices are too narrow for."""
    license: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$")] | None = None
    """For the model card, as SPDX names it (`apache-2.0`); what the base's card says when absent."""
    max_retries: Annotated[Int, Field(ge=0, le=20)] = 2
    """New attempts after failures that are not the user's."""

    @field_validator(*_BELONGS_TO)
    @classmethod
    def _has_an_effect(cls, value: Any, info: ValidationInfo) -> Any:
        fitting = _BELONGS_TO[str(info.field_name)]
        chosen = info.data.get("operation")
        if chosen is not None and chosen not in fitting and value != cls.model_fields[str(info.field_name)].default:
            raise ValueError(f"belongs to operation {' or '.join(fitting)}, not to {chosen}")
        return value

    @field_validator("target")
    @classmethod
    def _servers_are_somewhere(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("operation") in _BELONGS_TO["target"]:
            raise ValueError("is required: name the Ollama server or hub, as the operator calls it")
        return value


class ExportedFile(Contract):
    """One file that an export made."""

    name: str
    size_bytes: Int
    sha256: Sha256
    download: str
    """Path of the file's bytes on this server."""


class ModelExport(Contract):
    """What one export job made of a model version."""

    job_id: JobId
    operation: Operation
    quantization: Quantization | None = None
    """Asked for; `types` says what each matrix was stored as."""
    types: dict[str, int] = {}
    target: str | None = None
    """Where else it went: the server outside, as the operator calls it."""
    repository: str | None = None
    """There, of a hub."""
    model: str | None = None
    """Reference of the version that a merge made."""
    files: list[ExportedFile] = []
    ended_at: datetime | None = None


class ModelExportPage(Contract):
    """A page of a version's exports, newest first."""

    data: list[ModelExport]
    has_more: bool
    next_cursor: str | None = None
