"""What to change in a job's spec so that it fares better: one row a reason, applied to the spec as it was."""

from collections.abc import Callable, Mapping
from typing import Any

from shared.contracts.failures import Reason

Spec = Mapping[str, Any]
Change = Callable[[Spec], dict[str, Any]]
"""The fields it would change, with their new values; none when it has nothing to give."""

_FEWEST_TOKENS = 8
_MOST_TOKENS = 131_072
_MOST_ACCUMULATION = 4096
_LEAST_RATE = 1e-9
_LARGEST = 1e9


def _number(spec: Spec, field: str) -> float | None:
    value = spec.get(field)
    return value if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LARGEST else None


def _smaller_batch(spec: Spec) -> dict[str, Any]:
    """Half the rows at a time, twice as often: the same gradient in half the memory."""
    batch, steps = _number(spec, "batchSize"), _number(spec, "gradientAccumulationSteps") or 1
    if batch is None or batch < 2:
        return _cutoff(0.5)(spec)
    half = int(batch) // 2
    return {"batchSize": half, "gradientAccumulationSteps": min(int(batch * steps) // half, _MOST_ACCUMULATION)}


def _cutoff(factor: float) -> Change:
    def change(spec: Spec) -> dict[str, Any]:
        tokens = _number(spec, "cutoffLen")
        if tokens is None:
            return {}
        changed = max(_FEWEST_TOKENS, min(int(tokens * factor), _MOST_TOKENS))
        return {} if changed == tokens else {"cutoffLen": changed}

    return change


def _rate(factor: float) -> Change:
    def change(spec: Spec) -> dict[str, Any]:
        rate = _number(spec, "learningRate")
        if rate is None or rate * factor < _LEAST_RATE:
            return {}
        return {"learningRate": float(f"{rate * factor:.6g}")}

    return change


def _warm_up(spec: Spec) -> dict[str, Any]:
    ratio = _number(spec, "warmupRatio")
    return {"warmupRatio": 0.1} if ratio is not None and ratio < 0.1 else {}


def _fewer_checkpoints(spec: Spec) -> dict[str, Any]:
    kept = _number(spec, "keepCheckpoints")
    return {"keepCheckpoints": 1} if kept is not None and kept > 1 else {}


def _lora(spec: Spec) -> dict[str, Any]:
    return {"finetuningType": "lora"} if "finetuningType" in spec else {}


REMEDIES: dict[Reason, tuple[Change, ...]] = {
    Reason.OUT_OF_MEMORY_GPU: (_smaller_batch,),
    Reason.OUT_OF_MEMORY_HOST: (_smaller_batch,),
    Reason.LOSS_DIVERGED: (_rate(0.1), _warm_up),
    Reason.LOSS_NOT_FINITE: (_rate(0.5), _warm_up),
    Reason.CUTOFF_TOO_SHORT: (_cutoff(2),),
    Reason.DATASET_TOO_SMALL: (_cutoff(0.5),),
    Reason.TOKEN_OUT_OF_RANGE: (_cutoff(0.5),),
    Reason.DISK_FULL: (_fewer_checkpoints,),
    Reason.FULL_ON_ADAPTER: (_lora,),
}


def patch_for(reason: Reason, spec: Spec) -> dict[str, Any]:
    """Fields to change and their new values; empty when the spec is not what must change."""
    return {field: value for change in REMEDIES.get(reason, ()) for field, value in change(spec).items()}
