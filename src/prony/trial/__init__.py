"""A plan and a running start into a recording: one trial."""

from prony.trial.run import Progress, run
from prony.trial.spec import most_connections

__all__ = ["Progress", "most_connections", "run"]
