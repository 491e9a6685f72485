"""Plans that run beside each other in, when each of them is loaded out: turn by turn, one at a time."""

from __future__ import annotations

import random

from msgspec import Struct

AT_ONCE_S = 0.001  # within this time the users of a turn come
SHORTEST_S = 0.25
ANSWERS = 10  # so many times as long as an answer takes is a turn
REST_ANSWERS = 1.5  # and a rest
REST_LEAST_S = 0.02
TURNS_MOST = 1000  # of one plan: a load's users come and go a bounded number of times

Stretch = tuple[float, float, float]  # seconds, from, to


class Turns(Struct, frozen=True, kw_only=True):
    """The turns of one plan among those of others, all of one length.

    Attributes:
        length_s: Of one turn, in seconds, with the rest at its end.
        rest_s: In which what was sent is answered before the next turn begins, and nothing is sent.
        own: Which of the turns are this plan's, counted from 0.
        count: How many there are, over all plans.
    """

    length_s: float
    rest_s: float
    own: tuple[int, ...]
    count: int

    @property
    def duration_s(self) -> float:
        """The length of all turns together."""
        return self.length_s * self.count

    @property
    def loaded_s(self) -> float:
        """How long this plan is loaded: its turns without the rest."""
        return (self.length_s - self.rest_s) * len(self.own)

    def stretches(self, level: float) -> tuple[Stretch, ...]:
        """Its load over all turns: `level` in its own, none in the others'; users come at once, not one by one."""
        own, loaded_s = set(self.own), self.length_s - self.rest_s
        at_once_s = min(AT_ONCE_S, loaded_s / 2)
        loaded = ((at_once_s, level, level), (loaded_s - at_once_s, level, level), (self.rest_s, 0.0, 0.0))
        idle = ((self.length_s, 0.0, 0.0),)
        return tuple(stretch for turn in range(self.count) for stretch in (loaded if turn in own else idle))


def dealt(sides: int, trial_s: float, answer_s: float, seed: int) -> list[Turns]:
    """For each of several plans its turns, in which it is loaded for about `trial_s`.

    Turns are as short as may be, for a machine's speed changes within seconds and is to meet all plans alike: ten times
    as long as an answer takes, and no shorter than `SHORTEST_S`. In every block each plan has one. The order within a
    first block is drawn; the next block runs it backwards, and so on in pairs: what changes evenly with time cancels.

    Args:
        sides: How many plans.
        trial_s: Seconds of load for each.
        answer_s: The time in which each answers what was sent to it, with every slot busy; in seconds.
        seed: Of the order.
    """
    shortest_s = max(SHORTEST_S, trial_s / TURNS_MOST)
    loaded_s = min(max(shortest_s, ANSWERS * answer_s), max(shortest_s, trial_s / 2))
    each = max(2, 2 * round(trial_s / loaded_s / 2))
    rest_s = max(REST_LEAST_S, REST_ANSWERS * answer_s)
    order = random.Random(seed)  # noqa: S311 - an order, recorded with its seed
    found: list[list[int]] = [[] for _ in range(sides)]
    block = list(range(sides))
    for number in range(each):
        if number % 2 == 0:
            order.shuffle(block)
        else:
            block.reverse()
        for place, side in enumerate(block):
            found[side].append(number * sides + place)
    return [Turns(length_s=loaded_s + rest_s, rest_s=rest_s, own=tuple(own), count=sides * each) for own in found]
