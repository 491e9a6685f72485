"""What limits capacity: a tier and a cause, each with its own grade and its evidence, and the relief that tests it."""

from prony.verdict.advice import advise
from prony.verdict.model import CAUSES, GRADES, TIERS, Suggestion, Verdict
from prony.verdict.relief import ConnectionsRelief, Step
from prony.verdict.rules import conclude

__all__ = ["CAUSES", "GRADES", "TIERS", "ConnectionsRelief", "Step", "Suggestion", "Verdict", "advise", "conclude"]
