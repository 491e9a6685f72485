"""A plan and a running start into a recording: one trial."""

from prony.trial.calibration import Calibration, calibrate, known
from prony.trial.following import Following, Progress, together
from prony.trial.run import run, running
from prony.trial.spec import most_connections

__all__ = [
    "Calibration",
    "Following",
    "Progress",
    "calibrate",
    "known",
    "most_connections",
    "run",
    "running",
    "together",
]
