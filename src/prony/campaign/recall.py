"""The store in, a campaign's document out: also of one that was killed, from what it had finished."""

from __future__ import annotations

import msgspec

from prony.campaign.bench import think
from prony.document import Document
from prony.recording import Campaign, Store
from prony.verdict import conclude


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
