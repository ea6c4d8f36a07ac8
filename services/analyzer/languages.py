"""Tells which language each row is in: by script where the script says it, by py3langid otherwise."""

import re
from collections import Counter, defaultdict

import py3langid

UNDETERMINED = "und"
"""Numbers, signs and code leave nothing to tell a language by."""
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_HANGUL = re.compile(r"[\uac00-\ud7af\u1100-\u11ff]")
_LETTERS = re.compile(r"[^\W\d_]")
_WORDS = re.compile(r"[^\W\d_]+")
_ALIASES = {"wuu": "zh", "yue": "zh", "zxx": UNDETERMINED}
"""What the identifier calls Chinese written in Han characters, and text that is no language."""
_LOOKED_AT = 400
"""Characters: enough for any language."""
_SHORT = 40
"""Letters below which a guess is not to be trusted."""
_POOLED = 4_000
"""Characters of short texts that are kept for each guess."""


def language_by_script(text: str) -> str | None:
    """Chinese, Japanese and Korean by their characters; `und` without letters; None where many languages share one."""
    letters = len(_LETTERS.findall(text))
    if letters == 0:
        return UNDETERMINED
    kana = len(_KANA.findall(text))
    if kana * 5 >= letters:
        return "ja"
    if len(_HANGUL.findall(text)) * 3 >= letters:
        return "ko"
    if len(_HAN.findall(text)) * 10 >= letters * 3:
        return "zh"
    return None


def _identify(text: str) -> str:
    guess = str(py3langid.classify(text)[0])
    return _ALIASES.get(guess, guess)


class Languages:
    """Counts rows by language.

    The guess about a short row is believed when all short rows with that guess, different ones put together, are long
    enough and look like that language too; the others are in the language that all short rows together look like.
    """

    def __init__(self) -> None:
        self._sure: Counter[str] = Counter()
        self._guessed: Counter[str] = Counter()
        self._pools: defaultdict[str, set[str]] = defaultdict(set)
        self._pooled: Counter[str] = Counter()

    def add(self, text: str) -> None:
        """Take a row in."""
        looked_at = text[:_LOOKED_AT]
        by_script = language_by_script(looked_at)
        if by_script is not None:
            self._sure[by_script] += 1
            return
        guess = _identify(looked_at)
        if len(_LETTERS.findall(looked_at)) >= _SHORT:
            self._sure[guess] += 1
            return
        self._guessed[guess] += 1
        if self._pooled[guess] < _POOLED:
            self._pools[guess].add(" ".join(_WORDS.findall(looked_at)))
            self._pooled[guess] += len(looked_at)

    def counts(self) -> dict[str, int]:
        """Rows by ISO 639 code, most frequent first; `und` for what is no language."""
        settled = Counter(self._sure)
        together = _identify("\n".join(sorted(set().union(*self._pools.values())))) if self._pools else UNDETERMINED
        for guess, rows in self._guessed.items():
            pool = "\n".join(sorted(self._pools[guess]))
            is_believed = len(_LETTERS.findall(pool)) >= _SHORT and _identify(pool) == guess
            settled[guess if is_believed else together] += rows
        return dict(settled.most_common())
