"""A recording in, the figures of its trial out."""

from prony.summary.gauged import Bucket, Metered
from prony.summary.routes import RouteFigures
from prony.summary.sampled import Sampled, Spent, sampled_of
from prony.summary.slice import Part, Quantile, Slice, sliced, within
from prony.summary.spread import QUANTILES, spread
from prony.summary.statements import Statement
from prony.summary.streams import StreamFigures
from prony.summary.trial import Backlog, Errors, Incident, Summary, latencies_s, sending_window, summarise
from prony.summary.waits import Waited
from prony.summary.warming import WarmUp, warm_up_of
from prony.summary.windowed import Window, Windowed

__all__ = [
    "QUANTILES",
    "Backlog",
    "Bucket",
    "Errors",
    "Incident",
    "Metered",
    "Part",
    "Quantile",
    "RouteFigures",
    "Sampled",
    "Slice",
    "Spent",
    "Statement",
    "StreamFigures",
    "Summary",
    "Waited",
    "WarmUp",
    "Window",
    "Windowed",
    "latencies_s",
    "sampled_of",
    "sending_window",
    "sliced",
    "spread",
    "summarise",
    "warm_up_of",
    "within",
]
