"""Who is calling: API keys of people, signed tokens of services, and the default-deny gate before every route."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from itsdangerous import BadSignature, SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from shared.kit.errors import Forbidden, PeerUnavailable, Unauthenticated

TICKET_LIFE_S = 60
_TOKEN_LIFE_S = 120
_TOKEN_REUSE_S = 60
_CACHE_S = 60
_CACHE_SIZE = 4096


_SKEW_S = 30
"""Clocks of two machines may be this far apart."""
_MARK = "service."


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller."""

    kind: Literal["user", "service"]
    name: str
    is_admin: bool = False
    only_topic: str | None = None
    """Set for the holder of a ticket: the one topic it opens."""


class KeyDirectory(Protocol):
    """Where API keys are looked up."""

    async def identify(self, key_hash: str) -> Principal | None:
        """The key's owner; None when there is no such key. Raises PeerUnavailable when it cannot be known."""
        ...


def hash_key(key: str) -> str:
    """What is stored of a key: keys are random, so one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class _Signer(TimestampSigner):
    """HMAC-SHA256 over text and time, with a key of its own for each purpose."""

    def __init__(self, secret: str | list[bytes], salt: str | bytes, now: Callable[[], float]) -> None:
        super().__init__(secret, salt=salt, digest_method=hashlib.sha256)
        self._now = now

    def get_timestamp(self) -> int:
        return int(self._now())


class ServiceTokens:
    """Signs and checks the short-lived tokens with which services know each other."""

    def __init__(self, service: str, secret: str, now: Callable[[], float] = time.time) -> None:
        self.service = service
        self._secret = secret
        self._now = now
        # An age is never negative for itsdangerous; a reader whose clock is ahead forgives a writer whose clock is not.
        self._reader = _Signer(secret, f"imts:{service}", lambda: now() + _SKEW_S)
        self._issued: dict[str, tuple[float, str]] = {}
        self._verified: dict[str, tuple[float, Principal]] = {}

    def issue(self, audience: str) -> str:
        """A token that only `audience` accepts, reused for a minute."""
        now = self._now()
        made_at, token = self._issued.get(audience, (0.0, ""))
        if now - made_at > _TOKEN_REUSE_S or now < made_at:
            token = _MARK + _Signer(self._secret, f"imts:{audience}", self._now).sign(self.service).decode()
            self._issued[audience] = (now, token)
        return token

    def verify(self, token: str) -> Principal | None:
        """The calling service, or None when the token is not ours, not for us, or expired."""
        good_until, known = self._verified.get(token, (0.0, None))
        if known is not None and self._now() < good_until:
            return known
        max_age = _TOKEN_LIFE_S + 2 * _SKEW_S
        try:
            name, made_at = self._reader.unsign(token.removeprefix(_MARK), max_age=max_age, return_timestamp=True)
        except BadSignature:
            return None
        principal = Principal(kind="service", name=name.decode(), is_admin=True)
        if len(self._verified) >= _CACHE_SIZE:
            self._verified.clear()
        self._verified[token] = (made_at.timestamp() + max_age - _SKEW_S, principal)
        return principal


class Tickets:
    """Signs and checks tickets: one topic, one service, a minute to connect; an EventSource sends no headers."""

    def __init__(self, service: str, secret: str, now: Callable[[], float] = time.time) -> None:
        # A purpose of its own: a ticket is no service token, and a service token is no ticket.
        def serializer(clock: Callable[[], float]) -> URLSafeTimedSerializer:
            salt = f"imts:ticket:{service}"
            return URLSafeTimedSerializer(secret, salt=salt, signer=_Signer, signer_kwargs={"now": clock})

        self._now = now
        self._writer = serializer(now)
        self._reader = serializer(lambda: now() + _SKEW_S)

    def issue(self, topic: str, name: str) -> tuple[str, int]:
        """A ticket for `name`, and the second at which it expires."""
        return self._writer.dumps([topic, name]), int(self._now()) + TICKET_LIFE_S

    def verify(self, ticket: str) -> Principal:
        """The ticket's holder, or Unauthenticated."""
        try:
            topic, name = self._reader.loads(ticket, max_age=TICKET_LIFE_S + _SKEW_S - 1)
        except SignatureExpired:
            raise Unauthenticated("the ticket has expired; ask for a new one", param="ticket") from None
        except BadSignature:
            raise Unauthenticated("the ticket is not valid; ask for a new one", param="ticket") from None
        return Principal(kind="user", name=name, only_topic=topic)


class CachedKeys:
    """Asks another directory at most once a minute per key; remembers refusals too, never outages."""

    def __init__(self, directory: KeyDirectory, now: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._now = now
        self._known: dict[str, tuple[float, Principal | None]] = {}

    async def identify(self, key_hash: str) -> Principal | None:
        known_at, principal = self._known.get(key_hash, (-_CACHE_S - 1.0, None))
        if self._now() - known_at < _CACHE_S:
            return principal
        principal = await self._directory.identify(key_hash)
        if len(self._known) >= _CACHE_SIZE:
            self._known.clear()
        self._known[key_hash] = (self._now(), principal)
        return principal


class Gate:
    """Turns an `Authorization` header into a principal; the only reader of credentials."""

    def __init__(self, keys: KeyDirectory, tokens: ServiceTokens) -> None:
        self._keys = keys
        self._tokens = tokens

    async def admit(self, authorization: str | None) -> Principal:
        """The caller, or Unauthenticated; an unreachable directory closes the gate with 503."""
        scheme, _, credential = (authorization or "").partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise Unauthenticated("send the header `Authorization: Bearer <key>`", param="Authorization")
        if not credential.isascii():
            raise Unauthenticated("the key is not valid", param="Authorization")
        principal = None
        if credential.startswith(_MARK):
            principal = self._tokens.verify(credential)
        else:
            try:
                principal = await self._keys.identify(hash_key(credential))
            except PeerUnavailable as fault:
                raise PeerUnavailable("keys cannot be checked right now; try again shortly") from fault
        if principal is None:
            raise Unauthenticated("the key is not valid", param="Authorization")
        return principal


def require_admin(principal: Principal) -> None:
    """Refuse callers who may not change what holds for everybody."""
    if not principal.is_admin:
        raise Forbidden("this needs an admin's key")


def require_service(principal: Principal) -> None:
    """Refuse people on routes meant for services."""
    if principal.kind != "service":
        raise Forbidden("this route is for services of the mesh")
