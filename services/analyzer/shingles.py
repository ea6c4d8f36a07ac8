"""Turns a text into what duplicate searches compare: a normalised form, and a set of shingles."""

import hashlib
import re
import unicodedata

_SPACES = re.compile(r"\s+")
_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u3040-\u30ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    "\U00020000-\U0003ffff"
)
_TOKENS = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_PUNCTUATION = frozenset(".,!?;:\"'()[]{}…—“”‘’。、「」『』《》〈〉【】·`_")
"""Sentence punctuation says nothing about what is asked; signs such as + and < do, and stay."""
_LOOKED_AT = 200_000
"""Characters: what follows in a longer text is not compared."""
_BRIEF = 40
"""Tokens up to which a text with other numbers asks something else, however alike the words are."""
WORDS = 2
CHARACTERS = 3


def normalise(text: str) -> str:
    """The text without differences of width, case and spacing."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def fingerprint(text: str) -> bytes:
    """Equal for texts that are the same once normalised."""
    return hashlib.blake2b(normalise(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def tokens(text: str) -> list[str]:
    """Words of spaced scripts, single characters of unspaced ones, and signs."""
    found: list[str] = _TOKENS.findall(normalise(text[:_LOOKED_AT]))
    return [token for token in found if token not in _PUNCTUATION]


def shingles(text: str) -> frozenset[str]:
    """Pairs of words, or runs of three characters where most tokens are of a script without spaces.

    The ends are padded, so that the first and the last token count as much as any other. In a brief text the numbers
    are part of every shingle, so that "12 apples and 3 pears" is not nearly "12 apples and 4 pears". A text without
    any token has none.
    """
    pieces = tokens(text)
    if not pieces:
        return frozenset()
    numbers = ",".join(piece for piece in pieces if piece[0].isdecimal()) if len(pieces) <= _BRIEF else ""
    unspaced = sum(1 for piece in pieces if _IS_UNSPACED.match(piece))
    size = CHARACTERS if unspaced * 2 > len(pieces) else WORDS
    padding = [""] * (size - 1)
    padded = [*padding, *pieces, *padding]
    found = map(" ".join, zip(*(padded[start:] for start in range(size)), strict=False))
    return frozenset(f"{numbers}:{shingle}" for shingle in found) if numbers else frozenset(found)


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Shared shingles over all shingles; two texts without any are not alike."""
    if not one or not other:
        return 0.0
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
