"""Background tasks end when told, and start again when they crash."""

import asyncio

import pytest

from shared.kit.errors import Unavailable
from shared.kit.tasks import running, supervise


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_task_that_swallows_one_cancellation_ends_all_the_same() -> None:
    swallowed = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if swallowed.is_set():
                raise
            swallowed.set()
            await asyncio.sleep(60)

    async with asyncio.timeout(10):
        async with running(("stubborn", stubborn)):
            await asyncio.sleep(0)
    assert swallowed.is_set()


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [ValueError("on purpose"), Unavailable("try again shortly")])
async def test_a_body_that_crashes_is_started_again(fault: Exception) -> None:
    starts: list[int] = []
    started_twice = asyncio.Event()

    async def crashing() -> None:
        starts.append(1)
        if len(starts) == 2:
            started_twice.set()
        raise fault

    task = asyncio.create_task(supervise("crashing", crashing, restart_after_s=0))
    async with asyncio.timeout(10):
        await started_twice.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
