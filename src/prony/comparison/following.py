"""Figures of which some follow others in, what may be called of each out: different only where what it follows is.

Every figure that is judged by itself takes its share of the chance of error, and leaves the others less. One that lies
beside another, as p95 beside p90, is to take none: it follows that one. It is held to the level of its leader, and may
be called different only where the leader is (a fixed sequence within one share of Bonferroni's; Westfall and Krishen,
Journal of Statistical Planning and Inference 99, 2001). Where the leader truly does not differ, something of the two is
called different wrongly only if the leader is; where it truly does, there is nothing to be wrong about in it, and its
share is the follower's. Either way the two together err as often as the leader alone might. What is judged by itself
is judged, and ends when it ended, as if there were no followers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import structs

from prony.comparison.ratio import Gain


def judged(gains: Sequence[Gain], follows: Mapping[str, str]) -> list[Gain]:
    """The same figures, each follower with whom it follows, and unknown where it alone would be called different.

    Args:
        gains: Each as its own interval has it.
        follows: For each follower its leader, which follows nobody.
    """
    different = {gain.figure for gain in gains if gain.verdict in {"better", "worse"}}
    return [_judged(gain, follows[gain.figure], different) if gain.figure in follows else gain for gain in gains]


def _judged(gain: Gain, leader: str, different: Collection[str]) -> Gain:
    held_back = gain.figure in different and leader not in different
    return structs.replace(gain, follows=leader, verdict="unknown" if held_back else gain.verdict)
