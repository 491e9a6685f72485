"""Figures of several starts of two plans in, better, worse or tie out, for each figure, with errors kept over all."""

from prony.comparison.contest import Contest, Figures
from prony.comparison.ratio import Comparison, Gain, compare

__all__ = ["Comparison", "Contest", "Figures", "Gain", "compare"]
