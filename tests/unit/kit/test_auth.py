"""Who gets through the gate."""

import pytest

from shared.kit.auth import CachedKeys, Gate, Principal, ServiceTokens, hash_key
from shared.kit.errors import PeerUnavailable, Unauthenticated
from tests.conftest import SERVICE_SECRET

KEY = "imts-a-key-of.anna.s"
ANNA = Principal(kind="user", name="anna")


class Keys:
    """A directory that knows one key and counts its questions."""

    def __init__(self, key: str) -> None:
        self.known = {hash_key(key): ANNA}
        self.questions = 0
        self.is_away = False

    async def identify(self, key_hash: str) -> Principal | None:
        self.questions += 1
        if self.is_away:
            raise PeerUnavailable("away")
        return self.known.get(key_hash)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _gate(keys: Keys, service: str = "training") -> Gate:
    return Gate(keys, ServiceTokens(service, SERVICE_SECRET))


@pytest.mark.anyio
async def test_a_known_key_is_admitted() -> None:
    assert await _gate(Keys(KEY)).admit(f"Bearer {KEY}") == ANNA


@pytest.mark.anyio
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer nope", "Bearer ключ", "Bearer a.b.c"]
)
async def test_anything_else_is_refused(header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        await _gate(Keys(KEY)).admit(header)


@pytest.mark.anyio
async def test_an_unreachable_directory_closes_the_gate() -> None:
    keys = Keys(KEY)
    keys.is_away = True
    with pytest.raises(PeerUnavailable):
        await _gate(keys).admit("Bearer imts-some-key")


@pytest.mark.anyio
async def test_a_service_token_is_for_one_audience() -> None:
    token = ServiceTokens("orchestrator", SERVICE_SECRET).issue("training")
    caller = await _gate(Keys(KEY)).admit(f"Bearer {token}")
    assert (caller.kind, caller.name) == ("service", "orchestrator")
    with pytest.raises(Unauthenticated):
        await _gate(Keys(KEY), service="stream").admit(f"Bearer {token}")


def test_a_token_expires_and_another_secret_signs_nothing() -> None:
    old = ServiceTokens("orchestrator", SERVICE_SECRET, now=lambda: 1_000_000.0).issue("training")
    assert ServiceTokens("training", SERVICE_SECRET).verify(old) is None
    forged = ServiceTokens("orchestrator", "x" * 40).issue("training")
    assert ServiceTokens("training", SERVICE_SECRET).verify(forged) is None


def test_a_token_that_was_seen_before_expires_all_the_same() -> None:
    now = [1_000_000.0]
    token = ServiceTokens("orchestrator", SERVICE_SECRET, now=lambda: 1_000_000.0).issue("training")
    reader = ServiceTokens("training", SERVICE_SECRET, now=lambda: now[0])
    for seconds, is_good in ((0, True), (150, True), (151, False), (149, True)):
        now[0] = 1_000_000.0 + seconds
        assert (reader.verify(token) is not None) is is_good


def test_a_token_that_was_changed_is_refused() -> None:
    mark, name, moment, signature = ServiceTokens("orchestrator", SERVICE_SECRET).issue("stream").split(".")
    verify = ServiceTokens("stream", SERVICE_SECRET).verify
    assert verify(f"{mark}.{name}.{moment}.{signature}") is not None
    for changed in (
        f"{mark}.someone.{moment}.{signature}",
        f"{mark}.{name}.{moment}.",
        f"{mark}.{name}.{moment}.ключ",
        f"{mark}.{name}.AAAA.{signature}",
        mark,
        "",
    ):
        assert verify(changed) is None


@pytest.mark.parametrize("skew_s", [-20, 20])
def test_a_token_from_a_machine_whose_clock_differs_a_little_is_good(skew_s: int) -> None:
    token = ServiceTokens("orchestrator", SERVICE_SECRET, now=lambda: 1_000_000.0 + skew_s).issue("training")
    assert ServiceTokens("training", SERVICE_SECRET, now=lambda: 1_000_000.0).verify(token) is not None


@pytest.mark.anyio
async def test_a_key_is_asked_for_once_a_minute_and_an_outage_is_not_remembered() -> None:
    keys = Keys(KEY)
    time = 0.0
    cached = CachedKeys(keys, now=lambda: time)
    keys.is_away = True
    with pytest.raises(PeerUnavailable):
        await cached.identify(hash_key(KEY))
    keys.is_away = False
    for moment in (0.0, 30.0, 59.0):
        time = moment
        assert await cached.identify(hash_key(KEY)) == ANNA
    assert keys.questions == 2
    time = 61.0
    await cached.identify(hash_key(KEY))
    assert keys.questions == 3
