"""A running stack in, what a visitor sees of it out: pages, crawls, checks and log-ins, before any load."""

from prony.visit.survey import learn

__all__ = ["learn"]
