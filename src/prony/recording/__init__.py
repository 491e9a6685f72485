"""Samples, readings and events: what a trial writes as it happens, and what every later thought reads."""

from prony.recording.model import ROUTE, Campaign, Event, Reading, Recording, TrialRow
from prony.recording.store import Store, TrialWriter, now_text
from prony.samples import OUTCOMES, SAMPLE, Samples

__all__ = [
    "OUTCOMES",
    "ROUTE",
    "SAMPLE",
    "Campaign",
    "Event",
    "Reading",
    "Recording",
    "Samples",
    "Store",
    "TrialRow",
    "TrialWriter",
    "now_text",
]
