"""What an export asks of its model, known before the job is accepted."""

from collections.abc import Collection
from dataclasses import dataclass

from orchestrator.domain.ports import UnitsOfWork
from shared.contracts.exports import GGUF_FAMILIES, ExportSpec, Operation
from shared.kit.artifacts import ArtifactStore
from shared.kit.body import parse_json
from shared.kit.errors import InvalidRequest

_CONFIG = "config.json"
_NEEDS_A_CONVERTER = frozenset({Operation.GGUF, Operation.OLLAMA})


@dataclass(frozen=True, slots=True)
class Targets:
    """Servers outside that the operator names, by what is sent to them."""

    ollama: Collection[str] = ()
    hubs: Collection[str] = ()

    def check(self, spec: ExportSpec) -> None:
        """InvalidRequest for a server that the operator does not name."""
        is_hub = spec.operation is Operation.HUB
        named = self.hubs if is_hub else self.ollama
        if spec.target is None or spec.target in named:
            return
        kind, variable = ("hub", "IMTS_HUB_TARGETS") if is_hub else ("Ollama server", "IMTS_OLLAMA_TARGETS")
        known = f"configured: {', '.join(sorted(named))}" if named else f"{variable} names none"
        raise InvalidRequest(
            f"target: there is no {kind} of this name; {known}", param="target", code="target_not_configured"
        )


def check_family(units: UnitsOfWork, store: ArtifactStore, spec: ExportSpec) -> None:
    """InvalidRequest for a model of a family that the operation has no converter for. Blocking."""
    if spec.operation not in _NEEDS_A_CONVERTER:
        return
    model = units.read(lambda uow: uow.models.require(spec.model_name, "modelName"))
    family = _family(store, model.base)
    if family not in GGUF_FAMILIES:
        raise InvalidRequest(
            f"modelName: models of family {family} cannot be written as GGUF yet; {', '.join(GGUF_FAMILIES)} can",
            param="modelName", code="family_not_supported",
        )  # fmt: skip


def _family(store: ArtifactStore, tree: str) -> str:
    config = next(item for item in store.tree(tree) if item.path == _CONFIG)
    told = parse_json(store.read_bytes(config.sha256))
    return str(told["model_type"]) if isinstance(told, dict) and "model_type" in told else "unknown"
