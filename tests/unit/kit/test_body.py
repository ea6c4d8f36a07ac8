"""JSON is read strictly and fast, with the same outcome as by the slow way; gzip is inflated within a bound."""

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kit.body import inflate, parse_json
from shared.kit.errors import ImtsError, MalformedRequest, TooLarge

_WORDS = st.sampled_from([
    "a", "b", "a:b", r"\u003a", r"\":", "\\\\", r"\ud800", r"\ud83d\ude00", "训练", r"\u0000", "NaN", "", " ",
])  # fmt: skip
_STRINGS = _WORDS.map(lambda word: f'"{word}"')
_SPACES = st.sampled_from(["", "", " ", "\n", " \t"])
_SCALARS = _STRINGS | st.sampled_from([
    "null", "true", "0", "-0", "-0.0", "1e5", "1E-7", "0.1", "NaN", "-Infinity", "Infinity", "1e999", "-NaN", "01",
    "1.", "9007199254740993", str(2**63), str(10**30), "1" * 5_000, "0.30000000000000004", "123456789.12345678e-300",
])  # fmt: skip


def _container(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(_STRINGS, _SPACES, _SPACES, inner).map(lambda part: f"{part[0]}{part[1]}:{part[2]}{part[3]}")
    objects = st.lists(pair, max_size=4).map(lambda pairs: "{" + ",".join(pairs) + "}")
    return objects | st.lists(inner, max_size=3).map(lambda items: "[" + " ,".join(items) + "]")


_DOCUMENTS = st.recursive(_SCALARS, _container, max_leaves=12) | st.floats().map(repr)


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise MalformedRequest("", code="duplicate_key")
    return dict(pairs)


def _by_the_book(body: bytes) -> str:
    try:
        return repr(json.loads(body.decode(), object_pairs_hook=_refuse_repeats))
    except MalformedRequest as fault:
        return fault.code
    except ValueError:
        return "malformed_request"


def _outcome(body: bytes) -> str:
    try:
        return repr(parse_json(body))
    except ImtsError as fault:
        return fault.code


@given(_DOCUMENTS)
def test_the_fast_way_ends_as_the_slow_one_does(document: str) -> None:
    assert _outcome(document.encode()) == _by_the_book(document.encode())


@pytest.mark.parametrize(
    "document",
    [
        '{"a":1,"a":2}',
        '{"a":":","b" :1,"a":2}',
        r'{"a":"\u003a","a":1}',
        r'{"a":1,"\u0061":2}',
        '{"a":{"b":1,"b":":"}}',
        '[{"a":1,"a":1}]',
    ],
)
def test_a_key_given_twice_is_found_however_it_is_hidden(document: str) -> None:
    with pytest.raises(MalformedRequest) as refused:
        parse_json(document.encode())
    assert refused.value.code == "duplicate_key"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_keeps_every_bit(number: float) -> None:
    assert repr(parse_json(repr(number).encode())) == repr(number)


def test_what_gzip_packed_comes_out_as_it_went_in() -> None:
    assert inflate(gzip.compress(b"events" * 1_000), 6_000) == b"events" * 1_000


def test_a_bomb_is_refused_at_the_limit() -> None:
    with pytest.raises(TooLarge):
        inflate(gzip.compress(bytes(50_000_000)), 1_000_000)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"producer":"p"}',
        gzip.compress(b"events" * 100)[:-9],
        gzip.compress(b"events")[:-8] + bytes(8),
        gzip.compress(b"events") + b"more",
        gzip.compress(b"events") * 2,
        zlib.compress(b"events"),
    ],
    ids=["nothing", "plain", "cut short", "wrong checksum", "more behind", "two streams", "zlib"],
)
def test_a_broken_gzip_body_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        inflate(body, 1_000)
