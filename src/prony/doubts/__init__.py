"""A trial's figures in, reasons to distrust some of them out, and what is left to be believed."""

from prony.doubts.kinds import KINDS, LATENCY, Doubt
from prony.doubts.raised import doubts_of
from prony.doubts.voided import believed, disturbed, late, voids_all

__all__ = ["KINDS", "LATENCY", "Doubt", "believed", "disturbed", "doubts_of", "late", "voids_all"]
