"""chrF2: character n-gram F-score (Popović, WMT 2015, https://aclanthology.org/W15-3049), as sacrebleu computes it."""

from collections import Counter

ORDER = 6
BETA = 2
"""Recall counts twice as much as precision."""


def chrf(answer: str, reference: str) -> float:
    """F-score of precision and recall averaged over the n-gram orders that both texts are long enough for.

    White space is dropped. This is sacrebleu's sentence score (`chrF2`, no smoothing) divided by 100.
    """
    said, wanted = "".join(answer.split()), "".join(reference.split())
    orders = range(1, min(ORDER, len(said), len(wanted)) + 1)
    if not orders:
        return float(said == wanted)
    precision = recall = 0.0
    for order in orders:
        ours, theirs = _ngrams(said, order), _ngrams(wanted, order)
        shared = (ours & theirs).total()
        precision += shared / ours.total() / len(orders)
        recall += shared / theirs.total() / len(orders)
    if precision + recall == 0.0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def _ngrams(text: str, order: int) -> Counter[str]:
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))
