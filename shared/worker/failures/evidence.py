"""The few facts that a reason rests on: how the processes ended, the lines and events that say why."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.worker.failures.case import Case, Line
from shared.worker.failures.redaction import redact

MOST_ITEMS = 8
LONGEST_TEXT = 400
_LINES = 3
_ROWS = 20
_LARGEST = 1e18
_FIGURES = ("step", "total_steps", "epoch", "train_loss", "val_loss", "learning_rate", "memory_used", "gpu_memory_used")

Item = dict[str, Any]


def evidence_for(case: Case, pattern_lines: Sequence[Line]) -> list[Item]:
    """At most `MOST_ITEMS` items; `pattern_lines` are those that the reason was read from."""
    found = [*_of_exit(case), *_of_cgroup(case), *_of_log(case, pattern_lines), *_of_events(case)]
    return found[:MOST_ITEMS]


def _item(source: str, text: str, case: Case, **more: Any) -> Item:
    return {"source": source, "text": redact(text, case.folder, LONGEST_TEXT), **more}


def _of_exit(case: Case) -> Iterator[Item]:
    remains = case.remains
    said = []
    if remains.start_fault is not None:
        said.append(remains.start_fault)
    if remains.is_lost:
        said.append("the shepherd died before it could report")
    if remains.signal is not None:
        said.append(f"ended by signal {remains.signal} ({_signal_name(remains.signal)})")
    elif remains.code is not None:
        said.append(f"ended with code {remains.code}")
    if remains.peak_memory_bytes:
        limit = f" of {_gib(remains.memory_limit_bytes)}" if remains.memory_limit_bytes else ""
        said.append(f"largest process held {_gib(remains.peak_memory_bytes)}{limit}")
    figures = {
        "code": remains.code, "signal": remains.signal, "peak_memory_bytes": remains.peak_memory_bytes,
        "memory_limit_bytes": remains.memory_limit_bytes,
    }  # fmt: skip
    known = {name: value for name, value in figures.items() if value is not None}
    if said:
        yield _item("exit", "; ".join(said), case, figures=known, at=case.ended_at or None)


def _of_cgroup(case: Case) -> Iterator[Item]:
    if kills := case.remains.oom_kills:
        text = f"the kernel's out-of-memory killer struck {kills} time(s) in the attempt's cgroup"
        yield _item("cgroup", text, case, figures={"oom_kills": kills}, at=case.ended_at or None)


def _of_log(case: Case, pattern_lines: Sequence[Line]) -> Iterator[Item]:
    lines = pattern_lines or [line for line in case.log if line.text.strip()][-_LINES:]
    for line in lines[-_LINES:]:
        yield _item("log", line.text.strip(), case, offset=line.offset)


def _of_events(case: Case) -> Iterator[Item]:
    """The newest figures, and the newest warning."""
    newest: dict[str, Mapping[str, Any]] = {}
    for event in case.events:
        data = event.get("data")
        if isinstance(data, dict) and (event.get("event_type") != "log" or data.get("level") in ("warning", "error")):
            newest[str(event.get("event_type"))] = event
    if "metrics_update" in newest:
        data = newest["metrics_update"]["data"]
        figures = {name: data[name] for name in _FIGURES if _is_figure(data.get(name))}
        lost = f"; not finite: {', '.join(map(str, _listed(data, 'non_finite')))}" if "non_finite" in data else ""
        text = f"at step {data.get('step')} of {data.get('total_steps')}{lost}"
        yield _item("event", text, case, figures=figures, at=_moment(newest["metrics_update"]))
    if "log" in newest:
        data = newest["log"]["data"]
        rows = [row for row in _listed(data, "rows") if _is_figure(row)]
        figures = {"rows": rows[:_ROWS]} if rows else {}
        yield _item("event", str(data.get("message")), case, figures=figures, at=_moment(newest["log"]))


def _listed(data: Mapping[str, Any], name: str) -> list[Any]:
    return data[name] if isinstance(data.get(name), list) else []


def _is_figure(value: object) -> bool:
    """Whether JSON can carry it as a number of reasonable size."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _LARGEST


def _moment(event: Mapping[str, Any]) -> str | None:
    """When it happened, if its writer knew."""
    try:
        return datetime.fromisoformat(str(event.get("timestamp"))).isoformat()
    except ValueError:
        return None


def _gib(size: int | None) -> str:
    return f"{(size or 0) / 2**30:.2f} GiB"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
