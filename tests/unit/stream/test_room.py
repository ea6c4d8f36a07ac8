"""The bound on what waits for the log."""

import pytest

from services.stream.log.room import Room
from shared.kit.errors import RateLimited


def test_what_does_not_fit_is_told_when_to_come_back_and_what_left_makes_room() -> None:
    room = Room(max_appends=10, max_bytes=100)
    with room.claim(60):
        with pytest.raises(RateLimited) as refused, room.claim(50):
            pass
        assert refused.value.retry_after_s == 1.0
        with room.claim(40):
            assert (room.appends, room.bytes) == (2, 100)
    assert (room.appends, room.bytes) == (0, 0)


def test_a_body_counts_as_it_arrives() -> None:
    room = Room(max_appends=10, max_bytes=100)
    with room.claim() as slow, room.claim() as quick:
        slow.grow(70)
        quick.grow(30)
        with pytest.raises(RateLimited):
            quick.grow(1)
        assert room.bytes == 100
    assert room.bytes == 0


def test_places_are_bounded_too() -> None:
    room = Room(max_appends=1, max_bytes=100)
    with room.claim(), pytest.raises(RateLimited), room.claim():
        pass
    assert room.appends == 0


def test_who_is_alone_always_fits() -> None:
    room = Room(max_appends=1, max_bytes=100)
    with room.claim(5_000) as claim:
        claim.grow(5_000)
        assert room.bytes == 10_000
