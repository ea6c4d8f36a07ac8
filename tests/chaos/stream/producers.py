"""Producers that never give up: what was not acknowledged is sent again, under the same numbers."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, Self

import httpx

from tests.integration.stream.client import metrics, phase, service_token

_PAUSE_S = 0.05
_LATER = {429, 503}


class Producer:
    """One numbering; `acknowledged` is the last number of it that the log said it has."""

    def __init__(self, topic: str, name: str, port_of: Callable[[], int], seeded: random.Random) -> None:
        self.name = name
        self.acknowledged = 0
        self.resent = 0
        self.refusals: list[httpx.Response] = []
        """Answers that asked to come again."""
        self._topic = topic
        self._port_of = port_of
        self._random = seeded
        self._http = httpx.AsyncClient(timeout=10, trust_env=False)

    async def write_until(self, is_over: asyncio.Event, pause_s: float, batch: int = 20) -> None:
        """Append batches of up to `batch` events, one after the other, the last of them acknowledged too."""
        while not is_over.is_set():
            first = self.acknowledged + 1
            numbers = range(first, first + self._random.randint(1, batch))
            await self.send(metrics(*numbers, producer=self.name, padding="x" * self._random.randrange(300)))
            await asyncio.sleep(pause_s)

    async def finish(self) -> None:
        """End the topic."""
        await self.send([phase("succeeded")])

    async def send(self, events: list[dict[str, Any]]) -> None:
        """Send until it is acknowledged."""
        through = self.acknowledged + len(events)
        body = {"producer": self.name, "first_seq": self.acknowledged + 1, "events": events}
        while (answer := await self._try(body)) is None:
            self.resent += 1
            await asyncio.sleep(_PAUSE_S)
        assert answer.status_code == 200, answer.text
        self.acknowledged = answer.json()["accepted_through"]
        assert self.acknowledged == through

    async def _try(self, body: dict[str, Any]) -> httpx.Response | None:
        address = f"http://127.0.0.1:{self._port_of()}/v1/topics/{self._topic}/events"
        try:
            answer = await self._http.post(address, json=body, headers={"authorization": f"Bearer {service_token()}"})
        except httpx.TransportError:
            return None
        if answer.status_code in _LATER:
            self.refusals.append(answer)
            return None
        return answer

    async def close(self) -> None:
        """Hang up."""
        await self._http.aclose()


class Writers:
    """Three producers of one topic that write while they are entered, and one to end it."""

    def __init__(
        self, topic: str, ports: Sequence[Callable[[], int]], seeded: random.Random, pause_s: float, batch: int = 20
    ) -> None:
        self.topic = topic
        self.members = [Producer(topic, f"p{place}", ports[place % len(ports)], seeded) for place in range(3)]
        self._last = Producer(topic, "orchestrator", ports[0], seeded)
        self._pause_s = pause_s
        self._batch = batch
        self._is_over = asyncio.Event()

    @property
    def acknowledged(self) -> list[int]:
        """How far each of them is."""
        return [member.acknowledged for member in self.members]

    @property
    def refusals(self) -> list[httpx.Response]:
        """Every answer that asked one of them to come again."""
        return [refusal for member in self.members for refusal in member.refusals]

    @property
    def resent(self) -> int:
        """How often one of them had to send again."""
        return sum(member.resent for member in self.members)

    async def __aenter__(self) -> Self:
        self._writing = [
            asyncio.create_task(member.write_until(self._is_over, self._pause_s, self._batch))
            for member in self.members
        ]
        return self

    async def finish(self, within_s: float) -> None:
        """Have what is under way acknowledged, then end the topic."""
        self._is_over.set()
        async with asyncio.timeout(within_s):
            await asyncio.gather(*self._writing)
            await self._last.finish()

    async def __aexit__(self, *_: object) -> None:
        for task in self._writing:
            task.cancel()
        await asyncio.gather(*self._writing, return_exceptions=True)
        for member in (*self.members, self._last):
            await member.close()

    def assert_exactly_once(self, log: list[dict[str, Any]]) -> None:
        """The log is gapless, and holds each producer's numbers once and in order: its steps are its numbers."""
        assert [event["seq"] for event in log] == list(range(1, len(log) + 1))
        for member in self.members:
            steps = [event["data"]["step"] for event in log if event["data"].get("producer") == member.name]
            assert steps == list(range(1, member.acknowledged + 1))
