"""Token F1 as SQuAD counts it (Rajpurkar et al., 2016), with characters as tokens of Chinese, Japanese and Thai."""

import re
import string
import unicodedata
from collections import Counter

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_UNSPACED = re.compile(r"([\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")
_ASCII = frozenset(string.punctuation)


def squad_tokens(text: str) -> list[str]:
    """Lower case, no punctuation, no English articles; words, or single characters of scripts without spaces."""
    kept = "".join(char for char in text.lower() if char not in _ASCII and unicodedata.category(char)[0] != "P")
    return _UNSPACED.sub(r" \1 ", _ARTICLES.sub(" ", kept)).split()


def token_f1(answer: str, reference: str) -> float:
    """Harmonic mean of precision and recall over tokens, each counted as often as it occurs."""
    said, wanted = squad_tokens(answer), squad_tokens(reference)
    if not said or not wanted:
        return float(said == wanted)
    shared = (Counter(said) & Counter(wanted)).total()
    return 2 * shared / (len(said) + len(wanted))
