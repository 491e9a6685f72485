"""Figures of starts as they come in, which side is to start next out, until all is clear: ask() and tell()."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from prony.comparison.following import judged
from prony.comparison.looks import looks, narrowed, spent
from prony.comparison.ratio import ALPHA, STARTS_LEAST, Comparison, Gain, compare

CLOSE = 0.05  # differences that are surely smaller than this are no reason for further starts
ROUGHLY = 0.1  # the same, where another figure is surely different already

Figures = dict[str, list[float]]


def turns(sides: int, starts: int, seed: int) -> list[int]:
    """The order in which sides take turns: in every round each once, shuffled, so that a drift meets all alike."""
    order = random.Random(seed)  # noqa: S311 - an order, recorded with its seed
    rounds = []
    for _ in range(starts):
        round_ = list(range(sides))
        order.shuffle(round_)
        rounds += round_
    return rounds


def settled(gains: Sequence[Gain]) -> bool:
    """Whether each of the figures is surely different, or surely no more than CLOSE (or ROUGHLY) apart."""
    different = [gain.verdict in {"better", "worse"} for gain in gains]
    margin = ROUGHLY if any(different) else CLOSE
    return all(differs or _within(gain, margin) for gain, differs in zip(gains, different, strict=True))


def _within(gain: Gain, margin: float) -> bool:
    """Whether a figure's ratio surely is no further from 1 than that."""
    if gain.low is None or gain.high is None:
        return False
    return gain.low >= 1 / (1 + margin) and gain.high <= 1 + margin


class Contest:
    """Two or more sides, every later one against the first; or one or more against figures that are stored.

    Args:
        sides: How many of them are started.
        most: How many starts each side gets at most.
        seed: Of the order of starts, and of the bootstrap.
        figures: Their names.
        higher_is_better: Those of which more is better; of the others less is.
        stored: The figures of the side that all are compared with, a value for each start; None: the first side's.
        clear: Whether a side's figures need no further starts; it is asked of those that can be told at all and
            follow none. All end at the first look at which every side is clear; one side that nothing is compared with
            has all its starts.
        alpha: The chance of calling any figure of any side different where none is, over all looks.
        follows: For each figure that is called different only where another one is, that other (see `following`); where
            it is not among `figures`, the follower is judged by itself.
    """

    def __init__(
        self,
        sides: int,
        *,
        most: int,
        seed: int,
        figures: Sequence[str],
        higher_is_better: Collection[str] = (),
        stored: Mapping[str, Sequence[float]] | None = None,
        clear: Callable[[Sequence[Gain]], bool] = settled,
        alpha: float = ALPHA,
        follows: Mapping[str, str] | None = None,
    ) -> None:
        self.most = most
        self.seed = seed
        self.looked: list[int] = []
        self.found: list[Figures] = [{name: [] for name in figures} for _ in range(sides)]
        pairs = (follows or {}).items()
        self._follows = {name: leader for name, leader in pairs if name in figures and leader in figures}
        self._up = frozenset(higher_is_better)
        self._stored = stored
        self._clear = clear
        self._order = turns(sides, most, seed)
        self._planned = looks(most)
        self._against = range(0 if stored is not None else 1, sides)
        self._alpha = alpha / max(1, len(self._against))
        self._gains: list[list[Gain]] = [[] for _ in self._against]
        self._told = 0
        self._done = False

    @property
    def total(self) -> int:
        """How many starts there will be at most, over all sides."""
        return len(self._order)

    @property
    def told(self) -> int:
        """How many there were."""
        return self._told

    @property
    def pairs(self) -> int:
        """How many sides are compared with the first, or with what is stored."""
        return len(self._against)

    @property
    def round(self) -> int:
        """How many rounds, in each of which every side starts once, have been."""
        return self._told // len(self.found)

    def ask(self) -> int | None:
        """Which side starts next; None when there is nothing more to find out."""
        return None if self._done else self._order[self._told]

    def ask_round(self) -> list[int]:
        """All sides in the order in which they start in the round that begins now; none when there is nothing more."""
        return [] if self._done else self._order[self._told : self._told + len(self.found)]

    def tell(self, figures: Mapping[str, float | None]) -> bool:
        """What the start that was asked for came to; None for a figure that is not to be believed.

        Returns:
            Whether the figures were looked at now.
        """
        for name, values in self.found[self._order[self._told]].items():
            value = figures.get(name)
            values.append(math.nan if value is None else value)
        self._told += 1
        rounds, part = divmod(self._told, len(self.found))
        if part or rounds not in self._planned:
            return False
        self._look(rounds)
        return True

    def close(self) -> None:
        """No more starts come: whole rounds since the last look are looked at, and no more is asked for."""
        if not self._done and self.round > (self.looked[-1] if self.looked else 0):
            self._look(self.round)
        self._done = True

    def gains(self, pair: int = 0) -> tuple[Gain, ...]:
        """One side's figures as of the last look: pair 0 is the first that is compared."""
        return tuple(judged(self._gains[pair], self._follows))

    def comparisons(self, names: Sequence[str], *, fresh: bool = True) -> tuple[Comparison, ...]:
        """Every pair; `names` begins with what the others are compared with."""
        return tuple(
            Comparison(
                a=names[0],
                b=name,
                seed=self.seed,
                gains=self.gains(pair),
                fresh=fresh,
                most=self.most,
                looks=tuple(self.looked),
            )
            for pair, name in zip(range(self.pairs), names[1:], strict=True)
        )

    def _look(self, rounds: int) -> None:
        before = spent(self.looked[-1] / self.most, self._alpha) if self.looked else 0.0
        alpha = spent(rounds / self.most, self._alpha) - before
        paired = self._stored is None
        gains: list[list[Gain]] = []
        first = self.found[0] if self._stored is None else self._stored
        for pair, side in enumerate(self._against):
            values = {name: (own[:rounds] if paired else own) for name, own in first.items()}
            pairs = {name: (values.get(name, ()), own[:rounds]) for name, own in self.found[side].items()}
            now = compare(
                pairs,
                higher_is_better=self._up,
                seed=self.seed,
                alpha=alpha,
                paired=paired,
                followers=self._follows,
            )
            earlier = {gain.figure: gain for gain in self._gains[pair]}
            gains.append([narrowed(earlier.get(gain.figure), gain) for gain in now])
        self._gains = gains  # all at once: what Ctrl-C cuts short in here is looked at by `close`
        self.looked.append(rounds)
        self._done = rounds == self.most or (bool(self._gains) and all(map(self._all_clear, self._gains)))

    def _all_clear(self, gains: Iterable[Gain]) -> bool:
        """Whether a side's figures that follow none are clear, as far as they can be told at all; there must be one."""
        leading = (gain for gain in gains if gain.figure not in self._follows)
        told = [gain for gain in leading if gain.verdict != "unknown" or self._may_come(gain)]
        return bool(told) and self._clear(told)

    def _may_come(self, gain: Gain) -> bool:
        """Whether a figure that was believed on too few starts will be on enough, if it goes on like that."""
        more = self.most / self.looked[-1]
        a = gain.starts[0] * (more if self._stored is None else 1.0)
        return min(a, gain.starts[1] * more) >= STARTS_LEAST
