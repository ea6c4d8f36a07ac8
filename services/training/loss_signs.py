"""What a loss and a gradient norm look like when something is wrong with them; pure, and cheap enough for each step."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

NOT_FINITE = "loss_not_finite"
SPIKE = "loss_spike"
DIVERGING = "loss_diverging"
PLATEAU = "loss_plateau"
VANISHING = "gradient_vanishing"
EXPLODING = "gradient_exploding"
GRAVE = frozenset({NOT_FINITE, SPIKE, DIVERGING})
"""Those that spoil the weights when the run goes on."""

_WINDOW = 64
_MEMORY = 512
"""Losses whose reach above their median counts as usual."""
_FEWEST = 20
"""Losses that must be known before another can stand out."""
_MAD_TO_SIGMA = 1.4826
_SPIKE_SIGMAS = 15.0
_SPIKE_REACH = 4.0
"""Times as far above the median as any remembered loss of its own time: batches of one row differ by nature."""
_LEVEL_EVERY = 8
_SLACK, _MOST, _ALARM = 3.0, 9.0, 60.0
"""Of the CUSUM, in units of the usual spread."""
_BLOCK = 50
_IDLE_BLOCKS = 4
_LEAST_GAIN = 0.005
_NORMS = 32
_VANISHED, _VANISHED_SHARE, _VANISHED_IN_A_ROW = 1e-7, 1e-4, 3
_EXPLODED_TIMES = 100.0


@dataclass(frozen=True, slots=True)
class Sign:
    """What was seen, from which step on, and the figures that show it."""

    kind: str
    step: int
    evidence: dict[str, float]
    skip: tuple[int, ...] = ()
    """Steps whose batches are likely to blame."""


def _robust(values: Sequence[float]) -> tuple[float, float]:
    """Median, and a spread that single values cannot move."""
    middle = median(values)
    spread = _MAD_TO_SIGMA * median(abs(value - middle) for value in values)
    return middle, max(spread, 0.02 * abs(middle), 1e-3)


class LossSigns:
    """Takes each step's loss once, in order; `rewind` when a run goes back."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, float]] = deque(maxlen=_WINDOW)
        self._excesses: deque[float] = deque(maxlen=_MEMORY)
        """How far losses lay above the median of their time: those of the first steps say nothing about later ones."""
        self._reach = 0.0
        self._middle = math.inf
        self._level: tuple[float, float] | None = None
        """The lowest median so far, and the unit in which losses rise above it."""
        self._sum = 0.0
        self._onset = 0
        self._block: list[float] = []
        self._lowest_block = math.inf
        self._idle_blocks = 0

    def rewind(self, step: int) -> None:
        """Forget what came after this step."""
        self._recent = deque([seen for seen in self._recent if seen[0] <= step], maxlen=_WINDOW)
        self._sum = 0.0
        self._block.clear()

    def take(self, step: int, loss: float) -> Sign | None:
        """What this loss is a sign of, if of anything."""
        if not math.isfinite(loss):
            last = {"last_loss": self._recent[-1][1]} if self._recent else {}
            return Sign(NOT_FINITE, step, last, (step - 1, step) if step > 1 else (step,))
        sign = self._spike(step, loss) or self._divergence(step, loss)
        if sign is None:
            self._remember(step, loss)
            sign = self._plateau(step, loss)
        return sign

    def _spike(self, step: int, loss: float) -> Sign | None:
        if len(self._recent) < _FEWEST:
            return None
        if loss - self._middle <= _SPIKE_REACH * self._reach:
            return None
        middle, spread = _robust([seen[1] for seen in self._recent])
        above = loss - middle
        if above < _SPIKE_SIGMAS * spread or above < _SPIKE_REACH * self._reach:
            return None
        evidence = {"loss": loss, "median": middle, "spread": spread, "sigmas": above / spread}
        return Sign(SPIKE, step, evidence, (step - 1, step))

    def _remember(self, step: int, loss: float) -> None:
        self._recent.append((step, loss))
        if self._middle < math.inf:
            self._excesses.append(loss - self._middle)
            self._reach = max(self._reach, loss - self._middle)
        if step % _LEVEL_EVERY == 0:
            self._take_level()

    def _take_level(self) -> None:
        self._reach = max(self._excesses, default=0.0)
        self._middle = median(seen[1] for seen in self._recent)
        if len(self._recent) < _WINDOW // 2:
            return
        middle, spread = _robust([seen[1] for seen in self._recent][-_WINDOW // 2 :])
        if self._level is None or middle < self._level[0]:
            self._level = middle, max(spread, (0.25 * abs(middle) + 0.05) / _SLACK)

    def _divergence(self, step: int, loss: float) -> Sign | None:
        if self._level is None:
            return None
        level, unit = self._level
        if self._sum == 0.0:
            self._onset = step
        self._sum = max(0.0, self._sum + min((loss - level) / unit, _MOST) - _SLACK)
        if self._sum < _ALARM:
            return None
        return Sign(DIVERGING, self._onset, {"loss": loss, "lowest_level": level, "cusum": self._sum, "at_step": step})

    def _plateau(self, step: int, loss: float) -> Sign | None:
        self._block.append(loss)
        if len(self._block) < _BLOCK:
            return None
        mean = fmean(self._block)
        self._block.clear()
        if mean < self._lowest_block - _LEAST_GAIN * abs(self._lowest_block) or self._lowest_block == math.inf:
            self._lowest_block, self._idle_blocks = mean, 0
            return None
        self._idle_blocks += 1
        if self._idle_blocks != _IDLE_BLOCKS:
            return None
        evidence = {"mean_loss": mean, "lowest_mean": self._lowest_block, "steps": _BLOCK * _IDLE_BLOCKS}
        return Sign(PLATEAU, step, evidence)


class GradientSigns:
    """Takes the gradient norms that are logged; each kind of trouble is told once until it is over."""

    def __init__(self) -> None:
        self._norms: deque[float] = deque(maxlen=_NORMS)
        self._small = 0
        self._told: str | None = None

    def take(self, step: int, norm: float) -> Sign | None:
        """What this norm is a sign of, if of anything."""
        if not math.isfinite(norm):
            return Sign(NOT_FINITE, step, {}, (step,))
        usual = median(self._norms) if len(self._norms) >= _FEWEST // 2 else None
        self._small = self._small + 1 if norm < max(_VANISHED, _VANISHED_SHARE * (usual or 0.0)) else 0
        if self._small >= _VANISHED_IN_A_ROW:
            return self._tell_once(VANISHING, step, norm, usual)
        if usual is not None and norm > _EXPLODED_TIMES * usual:
            return self._tell_once(EXPLODING, step, norm, usual)
        if not self._small:
            self._told = None
            self._norms.append(norm)
        return None

    def _tell_once(self, kind: str, step: int, norm: float, usual: float | None) -> Sign | None:
        if self._told == kind:
            return None
        self._told = kind
        return Sign(kind, step, {"gradient_norm": norm} | ({} if usual is None else {"median": usual}))
