"""Exact match: the answer is the reference, letter for letter, but for spacing."""

import unicodedata


def exact_match(answer: str, reference: str) -> float:
    """1 when both are the same text; Unicode composition and white space aside, case and punctuation count."""
    return float(_tidy(answer) == _tidy(reference))


def _tidy(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
