"""An append as it arrives: JSON, or one event a line; plain or gzip; read within bounds."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import Field, ValidationError
from starlette.requests import ClientDisconnect, Request

from services.stream.log.admission import admit
from services.stream.log.numbering import Append
from services.stream.log.room import Claim, Room
from services.stream.permissions import require_own_events
from shared.contracts.events import MAX_BATCH, NewEvent, Numbered
from shared.kit.auth import Principal
from shared.kit.body import inflate, parse_json
from shared.kit.error_handlers import validation_fault
from shared.kit.errors import InvalidRequest, MalformedRequest, UnsupportedMediaType
from shared.kit.tasks import in_thread

JSON = "application/json"
LINES = "application/x-ndjson"
_READ_S = 30.0
_LARGE = 256 * 1024
"""Bodies beyond this are looked at beside the event loop."""


class ArrivingEvent(NewEvent):
    """`NewEvent` whose data nobody has looked at: `admission` does, in a fraction of the time."""

    data: dict[str, Any] = {}


class ArrivingRun(Numbered):
    """`AppendRequest` as the log reads it."""

    events: list[ArrivingEvent] = Field(min_length=1, max_length=MAX_BATCH)


@dataclass(frozen=True, slots=True)
class Numbering:
    """What the address says of a body of lines: the JSON body has it in itself."""

    producer: str | None
    first_seq: int | None


@dataclass(frozen=True, slots=True)
class Parcel:
    """A body, and how it is packed."""

    body: bytes
    is_gzip: bool
    numbered: dict[str, Any] | None
    """Of a body of lines: `producer` and `first_seq`."""

    @property
    def is_small(self) -> bool:
        """Whether opening it holds nobody up."""
        return not self.is_gzip and len(self.body) <= _LARGE

    def open(self, limit: int) -> ArrivingRun:
        """The run in it; raises what is wrong with it."""
        body = inflate(self.body, limit) if self.is_gzip else self.body
        said = parse_json(body) if self.numbered is None else {**self.numbered, "events": _lines(body)}
        try:
            return ArrivingRun.model_validate(said)
        except ValidationError as fault:
            raise validation_fault(fault.errors(include_url=False, include_input=False)) from None


class Intake:
    """Takes appends in; one large body at a time is opened, so that the room's bound holds."""

    def __init__(self, room: Room, limit: int) -> None:
        self._room = room
        self._limit = limit
        self._turn = asyncio.Lock()

    async def read(self, request: Request, numbering: Numbering, caller: Principal, topic: str) -> Append:
        """The append that `request` carries, checked."""
        with self._room.claim() as claim:
            numbered = _numbered(request, numbering)
            is_gzip = _is_gzip(request)
            parcel = Parcel(await _body(request, claim), is_gzip, numbered)
            if parcel.is_small:
                return self._open(parcel, caller, topic)
            async with self._turn:
                return await in_thread(self._open, parcel, caller, topic)

    def _open(self, parcel: Parcel, caller: Principal, topic: str) -> Append:
        run = parcel.open(self._limit)
        require_own_events(caller, topic, run.producer, run.events)
        return Append(topic, run.producer, run.first_seq, admit(topic, run.events))


async def _body(request: Request, claim: Claim) -> bytes:
    chunks: list[bytes] = []
    try:
        async with asyncio.timeout(_READ_S):
            async for chunk in request.stream():
                claim.grow(len(chunk))
                chunks.append(chunk)
    except ClientDisconnect:
        raise MalformedRequest("the body is cut short") from None
    except TimeoutError:
        raise MalformedRequest(f"the body did not arrive within {_READ_S:.0f} s") from None
    return b"".join(chunks)


def _is_gzip(request: Request) -> bool:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise UnsupportedMediaType("send the body plain or with `Content-Encoding: gzip`", param="Content-Encoding")
    return encoding == "gzip"


def _numbered(request: Request, numbering: Numbering) -> dict[str, Any] | None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    said = asdict(numbering)
    if media_type == JSON:
        if misplaced := [name for name, value in said.items() if value is not None]:
            raise InvalidRequest(f"{misplaced[0]} belongs into the JSON body, not the address", param=misplaced[0])
        return None
    if media_type != LINES:
        raise UnsupportedMediaType(f"send `Content-Type: {JSON}` or `{LINES}`", param="Content-Type")
    if missing := [name for name, value in said.items() if value is None]:
        raise InvalidRequest(f"{missing[0]} is required in the address: `?producer=…&first_seq=…`", param=missing[0])
    return said


def _lines(body: bytes) -> list[Any]:
    if body.count(b"\n") > MAX_BATCH:
        raise InvalidRequest(f"events: send at most {MAX_BATCH} lines at once", param="events")
    events = []
    for place, line in enumerate(body.split(b"\n"), start=1):
        if line.strip():
            try:
                events.append(parse_json(line))
            except MalformedRequest as fault:
                raise MalformedRequest(f"line {place}: {fault.message}", code=fault.code) from None
    return events
