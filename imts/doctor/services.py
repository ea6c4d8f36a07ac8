"""The living services: ready, of one version, on time, and heard by their peers."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any

import httpx

from imts.up.watched import is_port_free
from shared.contracts.checkup import Finding, broken, by_limits, doubtful, fine

_SKEW_WARN_S, _SKEW_FAIL_S = 3.0, 30.0


@dataclass(frozen=True)
class Answer:
    """What a service's `/readyz` told."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    skew_s: float | None = None


def look(urls: Mapping[str, str]) -> Iterator[Finding]:
    """Every service at its address."""
    answers = {name: _ask(url) for name, url in urls.items()}
    for name, answer in answers.items():
        yield _readiness(name, urls[name], answer)
    heard = {name: answer for name, answer in answers.items() if answer is not None}
    yield from _versions(heard)
    yield from _clocks(heard)
    yield from _circuits(heard)


def ports_free(host: str, ports: Mapping[str, int]) -> Iterator[Finding]:
    """Whether the services could listen, while they do not."""
    taken = {name: port for name, port in ports.items() if not is_port_free(host, port)}
    for name, port in taken.items():
        yield broken(f"{name} port", f"{port} is taken by another program", "end it, or start with --port-offset")
    if not taken:
        yield fine("ports", f"{', '.join(str(port) for port in ports.values())} are free")


def _ask(url: str) -> Answer | None:
    try:
        answer = httpx.get(f"{url}/readyz", timeout=5.0, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    try:
        told = answer.json()
    except ValueError:
        told = {}
    return Answer(answer.status_code, told if isinstance(told, dict) else {}, _skew(answer.headers.get("date")))


def _skew(date: str | None) -> float | None:
    try:
        there: datetime | None = parsedate_to_datetime(date) if date else None
    except ValueError:
        return None
    # The header counts whole seconds, so half a second of it is nobody's fault.
    return None if there is None else max(0.0, abs(there.timestamp() + 0.5 - time.time()) - 0.5)


def _readiness(name: str, url: str, answer: Answer | None) -> Finding:
    if answer is None:
        return broken(name, f"does not answer at {url}", "see its log; `imts up` starts it again by itself")
    if answer.status == httpx.codes.OK:
        return fine(name, f"is ready at {url}")
    said = answer.body.get("error", {}).get("message", f"answers {answer.status}")
    return broken(name, f"is not ready: {said}", "mend what it waits for; if that is itself a service, start there")


def _versions(answers: Mapping[str, Answer]) -> Iterator[Finding]:
    told = {name: str(answer.body["version"]) for name, answer in answers.items() if "version" in answer.body}
    own = version("imts")
    others = {name: found for name, found in told.items() if found != own}
    if others:
        shown = ", ".join(f"{name} {found}" for name, found in others.items())
        yield doubtful(
            "versions", f"this is {own}, but: {shown}", "restart those with the same release, one after another"
        )
    elif told:
        yield fine("versions", f"all are {own}")


def _clocks(answers: Mapping[str, Answer]) -> Iterator[Finding]:
    skews = {name: answer.skew_s for name, answer in answers.items() if answer.skew_s is not None}
    if skews:
        worst = max(skews, key=lambda name: skews[name])
        says = f"{worst} differs most, by {skews[worst]:.0f} s"
        action = "have all machines' clocks set by NTP: tokens of services are not believed beyond 30 s"
        yield by_limits("clocks", skews[worst], _SKEW_WARN_S, _SKEW_FAIL_S, says, action)


def _circuits(answers: Mapping[str, Answer]) -> Iterator[Finding]:
    for name, answer in answers.items():
        peers = answer.body.get("peers") or answer.body.get("error", {}).get("details", {}).get("peers", [])
        for peer in peers:
            if peer.get("circuit") == "open":
                says = f"{name} has not heard {peer.get('name')} for {peer.get('silent_for_s')} s"
                yield doubtful("circuits", says, f"see that {peer.get('name')} runs and that {name} can reach it")
