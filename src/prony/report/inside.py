"""Turns one trial into what its tiers, its app and its database did meanwhile, as the terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.markup import escape

from prony.document import Document, Trial
from prony.report.gauged import gauged, stated
from prony.report.spent import spent
from prony.report.tiers import told


def subject(document: Document) -> Trial | None:
    """The trial that is shown from the inside: the only one, else that of the last verdict, else the last load.

    None where none of many is what the document is about: a replay's, a comparison's, a search's without a verdict.
    """
    if len(document.trials) == 1:
        return document.trials[0]
    if document.tests or document.comparisons:
        return None
    about = document.verdicts[-1].trial if document.verdicts else ""
    found = [trial for trial in document.trials if trial.id == about]
    if not found and not document.capacities and not document.curves:
        found = list(document.trials[-1:])
    return found[0] if found else None


def shown(document: Document) -> Iterator[RenderableType]:
    """That trial's tiers, tables of the gauge and of the database; named where there are others."""
    trial = subject(document)
    if trial is None:
        return
    if len(document.trials) > 1:
        yield f"\n[bold]Inside trial {trial.id}[/bold] {escape(trial.label)}"
    for tier, words, errors in told(trial):
        parts = (words, f"errors: {errors}" if errors else "")
        yield f"  {tier:<13} {escape('; '.join(part for part in parts if part))}"
    if trial.gauged:
        yield gauged(trial.gauged)
    if trial.spent:
        yield spent(trial.spent)
    if trial.statements:
        yield stated(trial.statements)
