"""Scores of one answer against its reference, 0 to 1; one file a score."""

from services.evaluator.scorers.chrf import chrf
from services.evaluator.scorers.exact_match import exact_match
from services.evaluator.scorers.token_f1 import token_f1

SCORERS = {"exact_match": exact_match, "token_f1": token_f1, "chrf": chrf}
"""By the name that results carry; (answer, reference) → 0 to 1."""
