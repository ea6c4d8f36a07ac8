"""Proxies before every service and the database, in a thread of their own, that cut what passes when told to."""

import asyncio
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager

from tests.chaos.stream.proxy import CuttingProxy


class Routes:
    """`ports[name]` leads to the target of that name; `cut` breaks what passes there now."""

    def __init__(self, targets: Mapping[str, int], seed: int) -> None:
        self.proxies = {name: CuttingProxy(port, random.Random(f"{seed}:{name}")) for name, port in targets.items()}
        for proxy in self.proxies.values():
            proxy.is_cutting = False
        self.loop = asyncio.new_event_loop()

    @property
    def ports(self) -> dict[str, int]:
        """Where each proxy listens."""
        return {name: proxy.port for name, proxy in self.proxies.items()}

    @property
    def cuts(self) -> int:
        """How many connections were broken."""
        return sum(proxy.cuts for proxy in self.proxies.values())

    def cut(self, name: str) -> None:
        """Break every connection on this path now, and each new one soon, until `mend`."""
        self.loop.call_soon_threadsafe(self._cut, self.proxies[name])

    def _cut(self, proxy: CuttingProxy) -> None:
        proxy.is_cutting = True
        for link in list(proxy.links):
            link.cut(is_ours=True)

    def mend(self, name: str) -> None:
        """Let connections live again."""
        self.proxies[name].is_cutting = False

    async def serve(self, is_open: threading.Event, is_over: asyncio.Event) -> None:
        """Until `is_over`."""
        async with AsyncExitStack() as stack:
            for proxy in self.proxies.values():
                await stack.enter_async_context(proxy)
            is_open.set()
            await is_over.wait()


@contextmanager
def open_routes(targets: Mapping[str, int], seed: int) -> Iterator[Routes]:
    """Proxies that listen, and are gone afterwards."""
    routes = Routes(targets, seed)
    is_open, is_over = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=routes.loop.run_until_complete, args=[routes.serve(is_open, is_over)])
    thread.start()
    try:
        assert is_open.wait(10)
        yield routes
    finally:
        routes.loop.call_soon_threadsafe(is_over.set)
        thread.join()
        routes.loop.close()
