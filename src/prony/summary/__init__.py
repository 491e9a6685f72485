"""A recording in, the figures of its trial out."""

from prony.summary.routes import QUANTILES, RouteFigures, spread
from prony.summary.trial import Backlog, Errors, Incident, Summary, latencies_s, sending_window, summarise
from prony.summary.windowed import Window, Windowed

__all__ = [
    "QUANTILES",
    "Backlog",
    "Errors",
    "Incident",
    "RouteFigures",
    "Summary",
    "Window",
    "Windowed",
    "latencies_s",
    "sending_window",
    "spread",
    "summarise",
]
