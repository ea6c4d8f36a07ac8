"""Calls that wait together are written together, and each hears its own answer."""

import asyncio
import threading

import pytest

from orchestrator.operations.grouping import Group
from shared.kit.errors import Conflict, ImtsError


class Writer:
    """Doubles numbers, refuses odd ones, fails on zero; holds the first group until told."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.began = threading.Event()
        self.may_go = threading.Event()

    def __call__(self, items: list[int]) -> list[int | ImtsError]:
        self.groups.append(items)
        self.began.set()
        self.may_go.wait(5)
        if 0 in items:
            raise ValueError("the database is gone")
        return [Conflict("odd") if item % 2 else item * 2 for item in items]


async def _ask(group: Group[int, int], *items: int) -> list[int | BaseException]:
    return await asyncio.gather(*(group.add(item) for item in items), return_exceptions=True)


def test_what_gathers_during_a_write_goes_together_into_the_next() -> None:
    writer = Writer()

    async def story() -> list[int | BaseException]:
        group = Group(writer)
        first = asyncio.create_task(group.add(2))
        await asyncio.to_thread(writer.began.wait, 5)
        rest = asyncio.create_task(_ask(group, 4, 6, 8))
        await asyncio.sleep(0)
        writer.may_go.set()
        return [await first, *await rest]

    assert asyncio.run(story()) == [4, 8, 12, 16]
    assert writer.groups == [[2], [4, 6, 8]]


def test_one_refusal_spoils_nobody_elses_answer() -> None:
    writer = Writer()
    writer.may_go.set()

    async def story() -> list[int | BaseException]:
        return await _ask(Group(writer), 2, 3, 4)

    two, three, four = asyncio.run(story())
    assert (two, four) == (4, 8)
    assert isinstance(three, Conflict)


def test_a_failed_write_fails_everyone_in_it_and_the_next_group_goes_on() -> None:
    writer = Writer()
    writer.may_go.set()

    async def story() -> tuple[list[int | BaseException], int]:
        group = Group(writer)
        return await _ask(group, 0, 2), await group.add(2)

    failed, answer = asyncio.run(story())
    assert [type(fault) for fault in failed] == [ValueError, ValueError]
    assert answer == 4


def test_a_caller_who_hangs_up_does_not_disturb_the_others() -> None:
    writer = Writer()

    async def story() -> int:
        group = Group(writer)
        gone = asyncio.create_task(group.add(2))
        stays = asyncio.create_task(group.add(4))
        await asyncio.to_thread(writer.began.wait, 5)
        gone.cancel()
        writer.may_go.set()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await stays

    assert asyncio.run(story()) == 8


def test_groups_are_bounded() -> None:
    writer = Writer()
    writer.may_go.set()

    async def story() -> list[int | BaseException]:
        return await _ask(Group(writer, limit=2), 2, 4, 6, 8, 10)

    asyncio.run(story())
    assert [len(group) for group in writer.groups] == [2, 2, 1]
