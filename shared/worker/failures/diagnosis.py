"""Whose fault it is: one pure and total function from the facts of a failed attempt to what is told of it."""

import re
from collections.abc import Iterator
from typing import Any

from shared.contracts.failures import Reason
from shared.worker.failures.case import Case, Fault, Line
from shared.worker.failures.evidence import evidence_for
from shared.worker.failures.redaction import redact
from shared.worker.failures.remedies import patch_for
from shared.worker.failures.signs import SIGNS, Sign

LONGEST_MESSAGE = 1000


def diagnose(case: Case) -> dict[str, Any]:
    """A `Failure` of the worker protocol as JSON: class, reason, message, evidence, whether to retry, advice."""
    reason, sign, fault = _read(case)
    return {
        "failure_class": reason.failure_class.value,
        "reason": reason.value,
        "message": redact(_message(case, reason, fault), case.folder, LONGEST_MESSAGE),
        "retryable": reason.retryable,
        "evidence": evidence_for(case, list(_lines_of(case, sign, fault))),
        "suggestion": {"advice": reason.advice, "patch": patch_for(reason, case.spec)},
    }


def recognise(faults: tuple[Fault, ...]) -> Reason:
    """The reason that exceptions alone tell; `engine_failed` when the table does not know them."""
    return _read(Case(faults=faults))[0]


def _read(case: Case) -> tuple[Reason, Sign | None, Fault | None]:
    if case.named not in {None, Reason.ENGINE_FAILED}:
        better = next((sign for sign in SIGNS if sign.named is not None and sign.fits(case, None)), None)
        return (better.reason if better else case.named or Reason.UNKNOWN), better, None
    for fault in (*case.faults, None):
        for sign in SIGNS:
            if sign.is_about_a_fault is (fault is not None) and sign.fits(case, fault):
                return sign.reason, sign, fault
    return Reason.UNKNOWN, None, None


def _message(case: Case, reason: Reason, fault: Fault | None) -> str:
    """One sentence: the engine's own words, what the reason means, or both."""
    said = case.message or (fault.text if fault else case.faults[0].text if case.faults else "")
    if reason in {case.named, Reason.ENGINE_FAILED}:
        return said or reason.means
    if reason is Reason.ENGINE_KILLED:
        return f"{reason.means} (signal {case.remains.fatal_signal})"
    if reason is Reason.ENGINE_EXITED:
        return f"{reason.means} (code {case.remains.code})"
    return f"{reason.means}: {said}" if said else reason.means


def _lines_of(case: Case, sign: Sign | None, fault: Fault | None) -> Iterator[Line]:
    """The lines of the output that the sign or the exception was read from."""
    wanted = fault or (case.faults[0] if case.faults else None)
    head = wanted.message.partition("\n")[0][:200] if wanted else ""
    for line in case.log:
        if (head and head in line.text) or (sign is not None and sign.log and re.search(sign.log, line.text)):
            yield line
