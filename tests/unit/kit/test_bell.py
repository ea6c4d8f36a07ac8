"""A bell wakes its loop early, whoever rings it."""

import asyncio
import threading

import pytest

from shared.kit.bell import Bell

LONG_S = 30.0


async def _wait(bell: Bell) -> None:
    async with asyncio.timeout(5):
        await bell.wait(LONG_S)


def test_a_ring_before_anyone_listens_is_not_lost() -> None:
    bell = Bell()
    bell.ring()
    asyncio.run(_wait(bell))


def test_a_ring_from_another_thread_wakes_the_loop() -> None:
    async def listen() -> None:
        bell = Bell()
        await bell.wait(0.0)
        threading.Thread(target=bell.ring).start()
        await _wait(bell)

    asyncio.run(listen())


def test_several_rings_are_one() -> None:
    async def listen() -> None:
        bell = Bell()
        bell.ring()
        bell.ring()
        await _wait(bell)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await bell.wait(LONG_S)

    asyncio.run(listen())


def test_a_ring_after_the_loop_has_gone_harms_nobody() -> None:
    bell = Bell()
    asyncio.run(bell.wait(0.0))
    bell.ring()
