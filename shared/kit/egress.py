"""The guarded way out: requests to URLs that users gave reach public addresses only, and just the one checked."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import anyio
import anyio.to_thread
import httpx

from shared.kit.addresses import Address, Network, is_public
from shared.kit.errors import InvalidRequest

Resolve = Callable[[str, int], Sequence[str]]
"""The addresses of a name; blocking, raises OSError."""
_PORTS = frozenset({80, 443, *range(1024, 65_536)})
_MAX_URL = 2048
_RESOLVERS = 8
"""Names looked up at once, in threads of their own: a slow one must not keep the mesh's own names waiting."""
_MAX_ADDRESSES = 3
"""Tried one after the other when one does not connect."""


class EgressRefused(InvalidRequest):
    """A URL that this server does not call."""

    code = "url_not_allowed"

    def __init__(self, message: str) -> None:
        super().__init__(message, param="url")


class NoAnswer(Exception):
    """The other side did not answer in time, or not in HTTP; the text says how."""


@dataclass(frozen=True, slots=True)
class EgressRules:
    """What the operator allows beyond `https` to public addresses."""

    allow_http: bool = False
    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, allowed: str, *, allow_http: bool = False) -> Self:
        """From `host,address,network/len,…`; ValueError names the part that is none of these."""
        hosts, networks = set(), []
        for part in (part.strip().lower() for part in allowed.split(",")):
            if not part:
                continue
            try:
                networks.append(ipaddress.ip_network(part))
            except ValueError:
                if "/" in part or not part.replace("-", "").replace(".", "").isalnum():
                    raise ValueError(f"{part[:80]} is no host, address or network") from None
                hosts.add(part)
        return cls(allow_http, frozenset(hosts), tuple(networks))

    def read_url(self, url: str) -> httpx.URL:
        """The URL, if its form is one that may be called; EgressRefused says what is wrong with it."""
        if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or set(url) & set(' \\"<>^`{|}'):
            raise EgressRefused("the URL must be plain ASCII without spaces and backslashes, 2,048 characters at most")
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            raise EgressRefused("the URL cannot be read") from None
        schemes = ("https", "http") if self.allow_http else ("https",)
        if parsed.scheme not in schemes or not parsed.host:
            raise EgressRefused(
                f"the URL must begin with {' or '.join(f'{scheme}://' for scheme in schemes)} and a host"
            )
        if parsed.userinfo or parsed.fragment:
            raise EgressRefused("the URL must have no user name, password or fragment")
        if parsed.port is not None and parsed.port not in _PORTS:
            raise EgressRefused("the URL's port must be 80, 443, or 1024 and higher")
        return parsed

    def admits(self, host: str, address: Address) -> bool:
        """Whether `host` may be called at `address`."""
        if is_public(address) or host.lower().rstrip(".") in self.hosts:
            return True
        inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any(one in network for one in (address, inner) if one is not None for network in self.networks)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; its body is not read, so that nobody can use this server to read what it can reach."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


def resolve_name(host: str, port: int) -> list[str]:
    """What the system says, for whatever `connect` would take for an address too (`127.1`, `2130706433`)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _name_of(url: httpx.URL) -> str:
    """The name as it stands on the wire: `url.host` is its Unicode form, which others may encode otherwise."""
    return url.raw_host.decode("ascii")


class _Pinned(httpx.AsyncBaseTransport):
    """Connects to the address in `extensions["pinned"]`; certificate and `Host` are those of the URL's name."""

    def __init__(self, context: ssl.SSLContext) -> None:
        # A connection that is kept would be found again by its address, whatever name it was made for.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        address = request.extensions["pinned"]
        extensions = {**request.extensions, "sni_hostname": _name_of(request.url)}
        url = request.url.copy_with(host=address)
        return await self._inner.handle_async_request(
            httpx.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=extensions)
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class Egress:
    """Calls URLs that users gave; follows no redirect, knows no proxy, waits `timeout_s` for everything together."""

    def __init__(
        self, rules: EgressRules, timeout_s: float = 15.0, ca_file: Path | None = None, resolve: Resolve = resolve_name
    ) -> None:
        self.rules = rules
        self._timeout_s = timeout_s
        self._resolve = resolve
        self._resolvers: anyio.CapacityLimiter | None = None
        context = httpx.create_ssl_context(trust_env=False)
        if ca_file is not None:
            context.load_verify_locations(cafile=ca_file)
        self._http = httpx.AsyncClient(
            transport=_Pinned(context), follow_redirects=False, trust_env=False, timeout=timeout_s
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def addresses(self, url: httpx.URL) -> Sequence[str]:
        """Where the URL leads now; EgressRefused when any of it is not public, NoAnswer when it leads nowhere."""
        if self._resolvers is None:
            self._resolvers = anyio.CapacityLimiter(_RESOLVERS)
        name, port = _name_of(url), url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await anyio.to_thread.run_sync(
                self._resolve, name, port, abandon_on_cancel=True, limiter=self._resolvers
            )
        except (OSError, UnicodeError):
            raise NoAnswer("the host's name has no address") from None
        # A zone (`fe80::1%eth0`) belongs to no public address.
        if not all("%" not in text and self.rules.admits(name, ipaddress.ip_address(text)) for text in found):
            raise EgressRefused("the URL leads to an address that is not public; an operator can allow it")
        return found[:_MAX_ADDRESSES]

    async def check(self, url: str) -> None:
        """EgressRefused when the URL would be refused now; a name without an address may get one later."""
        parsed = self.rules.read_url(url)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self.addresses(parsed)
        except (NoAnswer, TimeoutError):
            return

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send `body`; NoAnswer, or EgressRefused before anything was connected to."""
        parsed = self.rules.read_url(url)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(parsed, headers, body)
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._timeout_s:g} s") from None
        except httpx.HTTPError as fault:
            raise NoAnswer(_told(fault)) from fault

    async def _post(self, url: httpx.URL, headers: Mapping[str, str], body: bytes) -> Reply:
        addresses = await self.addresses(url)
        for left, address in zip(reversed(range(len(addresses))), addresses, strict=True):
            request = self._http.build_request("POST", url, headers=headers, content=body)
            request.extensions["pinned"] = address
            try:
                response = await self._http.send(request, stream=True)
            except httpx.ConnectError:
                if not left:
                    raise
                continue
            await response.aclose()
            return Reply(response.status_code, dict(response.headers))
        raise NoAnswer("the host's name has no address")


def _told(fault: httpx.HTTPError) -> str:
    if isinstance(fault, httpx.ConnectError):
        is_tls = any(isinstance(cause, ssl.SSLError) for cause in _causes(fault))
        return "the certificate or the TLS handshake is not good" if is_tls else "no connection"
    return f"the answer broke off or was no HTTP ({type(fault).__name__})"


def _causes(fault: BaseException | None) -> Iterator[BaseException]:
    while fault is not None:
        yield fault
        fault = fault.__cause__ or fault.__context__
