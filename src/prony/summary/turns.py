"""A plan's turns and its requests in, which instants are its own and how far its answers run into others' out."""

from __future__ import annotations

from typing import Any

import numpy as np

from prony.plan.turns import Turns


def in_turns(turns: Turns, t_s: Any) -> Any:
    """Whether instants, in seconds from the first turn's beginning, fall into a plan's own turns, before the rest."""
    turn, into_s = np.divmod(t_s, turns.length_s)
    return np.isin(turn, turns.own) & (into_s <= turns.length_s - turns.rest_s)


def overlap_share(turns: Turns, due_s: Any, done_s: Any) -> float:
    """In what share of the others' turns, rests included, requests of this plan were due and not yet answered.

    Args:
        turns: This plan's.
        due_s: When each request was due, in seconds from the first turn's beginning.
        done_s: When it ended, in one way or another.
    """
    others = np.setdiff1d(np.arange(turns.count), turns.own)
    if not len(others) or not len(due_s):
        return 0.0
    order = np.argsort(due_s)
    due_s = due_s[order]
    by_then_s = np.maximum.accumulate(done_s[order])  # the latest end of all that were due so far
    since_s = np.maximum(due_s, np.concatenate([[0.0], by_then_s[:-1]]))  # what an earlier one covers counts once
    before = np.cumsum(np.isin(np.arange(turns.count + 1), others)) * turns.length_s

    def theirs_s(t_s: Any) -> Any:
        """How much of the others' time has passed."""
        turn = np.clip((t_s // turns.length_s).astype(int), 0, turns.count)
        into_s = np.where(np.isin(turn, others), turns.length_s - (t_s - turn * turns.length_s), 0.0)
        return before[turn] - into_s

    last_s = turns.duration_s
    found_s = theirs_s(np.clip(by_then_s, 0, last_s)) - theirs_s(np.clip(since_s, 0, last_s))
    return float(found_s.clip(min=0).sum() / (len(others) * turns.length_s))
