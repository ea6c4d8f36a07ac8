"""Who is calling: API keys of people, signed tokens of services, and the default-deny gate before every route."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import jwt

from shared.kit.errors import Forbidden, PeerUnavailable, Unauthenticated

KEY_PREFIX = "imts-"
TICKET_LIFE_S = 60
_TOKEN_LIFE_S = 120
_TOKEN_REUSE_S = 60
_CACHE_S = 60
_CACHE_SIZE = 4096


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


def new_key() -> str:
    """A fresh API key with 192 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(24)


def hash_key(key: str) -> str:
    """What is stored of a key: keys are random, so one round of SHA-256 is enough."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class ServiceTokens:
    """Signs and checks the short-lived tokens with which services know each other (JWT, HS256)."""

    def __init__(self, service: str, secret: str, now: Callable[[], float] = time.time) -> None:
        self._service = service
        self._secret = secret
        self._now = now
        self._issued: dict[str, tuple[float, str]] = {}

    def issue(self, audience: str) -> str:
        """A token that only `audience` accepts, reused for a minute."""
        now = self._now()
        made_at, token = self._issued.get(audience, (0.0, ""))
        if now - made_at > _TOKEN_REUSE_S or now < made_at:
            claims = {"iss": self._service, "aud": audience, "exp": int(now) + _TOKEN_LIFE_S}
            token = jwt.encode(claims, self._secret, algorithm="HS256")
            self._issued[audience] = (now, token)
        return token

    def verify(self, token: str) -> Principal | None:
        """The calling service, or None when the token is not ours, not for us, or expired."""
        try:
            claims = jwt.decode(
                token, self._secret, algorithms=["HS256"], audience=self._service,
                options={"require": ["exp", "iss", "aud"]},
            )  # fmt: skip
        except (jwt.InvalidTokenError, ValueError):
            return None
        return Principal(kind="service", name=str(claims["iss"]), is_admin=True)


class Tickets:
    """Signs and checks tickets: one topic, one service, a minute to connect; an EventSource sends no headers."""

    def __init__(self, service: str, secret: str, now: Callable[[], float] = time.time) -> None:
        # An audience of its own: a ticket is no service token, and a service token is no ticket.
        self._audience = f"ticket:{service}"
        self._secret = secret
        self._now = now

    def issue(self, topic: str, name: str) -> tuple[str, int]:
        """A ticket for `name`, and the second at which it expires."""
        expires = int(self._now()) + TICKET_LIFE_S
        claims = {"iss": name, "sub": topic, "aud": self._audience, "exp": expires}
        return jwt.encode(claims, self._secret, algorithm="HS256"), expires

    def verify(self, ticket: str) -> Principal:
        """The ticket's holder, or Unauthenticated."""
        try:
            claims = jwt.decode(
                ticket, self._secret, algorithms=["HS256"], audience=self._audience,
                options={"require": ["exp", "iss", "aud", "sub"], "verify_exp": False},
            )  # fmt: skip
        except (jwt.InvalidTokenError, ValueError):
            raise Unauthenticated("the ticket is not valid; ask for a new one", param="ticket") from None
        if self._now() >= claims["exp"]:
            raise Unauthenticated("the ticket has expired; ask for a new one", param="ticket")
        return Principal(kind="user", name=str(claims["iss"]), only_topic=str(claims["sub"]))


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
        if credential.count(".") == 2:
            principal = self._tokens.verify(credential)
        else:
            try:
                principal = await self._keys.identify(hash_key(credential))
            except PeerUnavailable as fault:
                raise PeerUnavailable("keys cannot be checked right now; try again shortly") from fault
        if principal is None:
            raise Unauthenticated("the key is not valid", param="Authorization")
        return principal


def require_service(principal: Principal) -> None:
    """Refuse people on routes meant for services."""
    if principal.kind != "service":
        raise Forbidden("this route is for services of the mesh")
