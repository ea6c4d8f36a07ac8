"""The model card: a README.md for people and for hubs, written from what is known of how a model was made; pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from shared.contracts import exports, training
from shared.contracts.base import JsonObject
from shared.contracts.work import DatasetInput, Measured

LICENSE_FIELDS = ("license", "license_name", "license_link")
_NOT_PARAMETERS = frozenset(
    {
        "operation", "modelName", "dataset", "validationDataset", "fromDataset", "name", "outputName", "maxRetries",
        "loggingSteps", "saveSteps", "keepCheckpoints", "license",
    }
)  # fmt: skip
"""Names, and what leaves no trace in the weights."""
_FIGURES = ("train_loss", "val_loss", "pretrain_loss", "step", "epoch")
_FRONT = re.compile(r"\A---\r?\n(.*?)^---\s*$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of how a model came to be."""

    made_by: str
    model: str
    base: str | None = None
    spec: JsonObject = field(default_factory=dict)
    datasets: Mapping[str, DatasetInput] = field(default_factory=dict)
    figures: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Card:
    """All that a card says."""

    name: str
    format: str
    """`peft`, `transformers` or `gguf`: what reads the files."""
    steps: list[Step]
    """Newest first."""
    evaluations: list[Measured] = field(default_factory=list)
    license: JsonObject = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """The file's text; the same facts, the same text."""
        return "\n".join([self._front(), f"# {self.name}", "", *self._body()]) + "\n"

    def _front(self) -> str:
        base = next((step.base for step in self.steps if step.base), None)
        facts: dict[str, Any] = {**self.license, "library_name": self.format}
        if base is not None:
            facts["base_model"] = base
        facts["datasets"] = sorted({item.name for step in self.steps for item in step.datasets.values()})
        facts["tags"] = [
            "imts",
            *sorted({str(step.spec[key]) for step in self.steps for key in _TAGS & set(step.spec)}),
        ]
        return f"---\n{yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)}---\n"

    def _body(self) -> Iterator[str]:
        yield from self.notes
        yield from _section("Lineage", ("model", "made by", "from"), [(s.model, s.made_by, s.base) for s in self.steps])
        rows = [(step.model, role, f"{one.name}@{one.version}", one.format, one.rows, one.sha256[:12])
                for step in self.steps for role, one in step.datasets.items()]  # fmt: skip
        yield from _section("Data", ("for", "role", "data set", "form", "rows", "sha256"), rows)
        for step in self.steps:
            parameters = [(key, step.spec[key]) for key in sorted(step.spec.keys() - _unused(step))]
            yield from _section(f"Parameters of {step.model} ({step.made_by})", ("parameter", "value"), parameters)
            figures = [(key, _number(step.figures[key])) for key in _FIGURES if key in step.figures]
            yield from _section(f"Figures of {step.model}", ("figure", "value"), figures)
        yield from self._measured()
        told = [(key, value) for key, value in self.license.items()] or [("license", "not stated by base or exporter")]
        yield from _section("Licence", ("field", "value"), told)

    def _measured(self) -> Iterator[str]:
        rows = [
            (found.dataset, key, _number(value), _number(found.baseline_metrics.get(key)), found.baseline)
            for found in self.evaluations
            for key, value in found.metrics.items()
        ]
        yield from _section("Evaluation", ("data set", "figure", "value", "baseline's", "baseline"), rows)


def _unused(step: Step) -> frozenset[str]:
    """What says nothing of the weights: names, settings of other stages, methods and operations, empty ones."""
    others = training.unused_options if step.made_by == "training" else exports.unused_options
    return _NOT_PARAMETERS | others(step.spec) | {key for key, value in step.spec.items() if value in ([], {}, None)}


_TAGS = {"stage", "finetuningType", "quantization"}


def license_of(readme: str) -> JsonObject:
    """The licence fields in a card's front matter; none when it has none that can be read."""
    match = _FRONT.match(readme)
    try:
        found = yaml.safe_load(match[1]) if match else None
    except (yaml.YAMLError, RecursionError):
        return {}
    told = found if isinstance(found, dict) else {}
    return {key: told[key][:200] for key in LICENSE_FIELDS if isinstance(told.get(key), str)}


def _section(title: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Iterator[str]:
    if not rows:
        return
    yield from ("", f"## {title}", "", _row(columns), _row(("---",) * len(columns)))
    yield from (_row(row) for row in rows)


def _row(cells: tuple[Any, ...]) -> str:
    return "| " + " | ".join("–" if cell is None else _cell(str(cell)) for cell in cells) + " |"


def _cell(text: str) -> str:
    """Text that cannot break out of its cell."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")


def _number(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
