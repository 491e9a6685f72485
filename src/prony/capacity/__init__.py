"""The highest offered rate that holds the limits, as an interval, by ask and tell."""

from prony.capacity.curve import Curve, Point, Tracing, utilisation
from prony.capacity.limits import Judgement, judge
from prony.capacity.search import Ask, Capacity, Goal, Search

__all__ = [
    "Ask",
    "Capacity",
    "Curve",
    "Goal",
    "Judgement",
    "Point",
    "Search",
    "Tracing",
    "judge",
    "utilisation",
]
