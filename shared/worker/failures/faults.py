"""Exceptions as facts: from a living one, and from the traceback that a dead engine printed."""

import re
from collections.abc import Iterable, Sequence

from shared.worker.failures.case import Fault, Line

_MOST = 8
_LONGEST = 2000
_RANK = re.compile(r"^\[(?:rank|default|r)?\d+\]:? ?")
"""What a launcher of several processes puts before each line."""
_TRACEBACK = "Traceback (most recent call last):"
_JOINTS = ("The above exception was the direct cause", "During handling of the above exception")
_LAUNCHER = "ChildFailedError"
"""Raised by torchrun when one of its processes failed: the cause is in that process's own traceback."""
_EXCEPTION = re.compile(r"^(?P<kind>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$")
_ERRNO = re.compile(r"\[Errno (\d+)\]|\(?os error (\d+)\)?")


def faults_of(exception: BaseException) -> tuple[Fault, ...]:
    """The exception, then what caused it, as Python would print them."""
    found: list[Fault] = []
    current: BaseException | None = exception
    while current is not None and len(found) < _MOST:
        found.append(_fault_of(current))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return tuple(found)


def _fault_of(exception: BaseException) -> Fault:
    kinds = tuple(kind.__name__ for kind in type(exception).__mro__ if kind not in {object, BaseException})
    code = getattr(exception, "code", None)
    message = str(exception)[:_LONGEST]
    number = exception.errno if isinstance(exception, OSError) else None
    return Fault(kinds, message, number or _errno_in(message), code if isinstance(code, str) else None)


def _errno_in(message: str) -> int | None:
    found = _ERRNO.search(message)
    return int(found[1] or found[2]) if found else None


def faults_in(log: Sequence[Line]) -> tuple[Fault, ...]:
    """What the newest traceback of the output ends with, then what caused it; a launcher's own word counts last."""
    lines = [_RANK.sub("", line.text) for line in log]
    begins = [index for index, text in enumerate(lines) if text.strip() == _TRACEBACK]
    found: list[Fault] = []
    for begin in reversed(begins[-_MOST:]):
        if (fault := _fault_after(lines[begin + 1 :])) is not None:
            found.append(fault)
        is_joined = any(text.startswith(_JOINTS) for text in lines[max(0, begin - 3) : begin])
        if not is_joined and (not found or found[0].kinds[0] != _LAUNCHER):
            break
    return tuple([fault for fault in found if fault.kinds[0] != _LAUNCHER] or found)


def abort_in(log: Sequence[Line]) -> tuple[Fault, ...]:
    """The C++ exception that nobody caught."""
    for line in reversed(log):
        text = _RANK.sub("", line.text).strip()
        if text.startswith("what():"):
            return (Fault(("abort",), text.removeprefix("what():").strip()[:_LONGEST]),)
        if text.startswith("terminate called after throwing"):
            return (Fault(("abort",), text[:_LONGEST]),)
    return ()


def _fault_after(lines: Iterable[str]) -> Fault | None:
    """The first line of a traceback that is not indented names the exception; indented ones after it go on."""
    message: list[str] = []
    kind = ""
    for text in lines:
        is_indented = text.startswith((" ", "\t"))
        if kind and (not is_indented or len(message) > _MOST):
            break
        if kind:
            message.append(text.strip())
        elif text and not is_indented:
            if (found := _EXCEPTION.match(text)) is None:
                return None
            kind = found["kind"].rpartition(".")[2]
            message.append(found["message"] or "")
    text = "\n".join(message)[:_LONGEST]
    return Fault((kind,), text, _errno_in(text)) if kind else None
