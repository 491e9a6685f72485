"""The store in, a campaign's document and drawings out: also of one that was killed, from what it had finished."""

from __future__ import annotations

import msgspec

from prony.campaign.bench import think
from prony.recording import Campaign, Store
from prony.report.document import Document
from prony.report.series import Series, series_of
from prony.verdict import conclude

SHOWN = {"test", "run", "saturation", "relief", "placebo", "rush", "confirm", "capacity"}


def recall(store: Store, campaign: Campaign) -> Document:
    """The document that a campaign came to, or, where it came to none, what its recordings say."""
    if campaign.conclusion is not None:
        try:
            return msgspec.convert(campaign.conclusion, Document)
        except msgspec.ValidationError:
            pass  # written by another version: the recordings still say what they say
    measured = [think(store, row.id) for row in campaign.trials]
    return Document(
        prony=campaign.prony,
        verb=campaign.verb,
        title=campaign.title,
        campaign=campaign.id,
        started_at=campaign.started_at,
        status=campaign.status,
        machine=campaign.machine,
        trials=tuple(m.entry for m in measured),
        doubts=tuple(doubt for m in measured for doubt in m.doubts),
        verdicts=tuple(conclude(m.summary, m.judgement) for m in measured if m.summary.requests),
    )


def drawings(store: Store, document: Document) -> dict[str, Series]:
    """The course over time of each trial worth drawing: all of a short campaign, a replay's tests of a long one."""
    wanted = {test.trial for test in document.tests} or {trial.id for trial in document.trials[:12]}
    return {trial: series_of(store.recording(trial)) for trial in sorted(wanted)}
