"""The store in, a campaign's document out: also of one that was killed, from what it had finished."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import structs

from prony.campaign.bench import WARMING, Measured, think
from prony.document import Document
from prony.doubts import Doubt
from prony.errors import PlanError, RecordingError
from prony.recording import Campaign, Store
from prony.summary import Part, sampled_of, sliced
from prony.verdict import conclude


def recall(store: Store, campaign: Campaign) -> Document:
    """The document that a campaign came to, or, where it came to none, what its recordings say."""
    if campaign.conclusion is not None:
        try:
            return msgspec.convert(campaign.conclusion, Document)
        except msgspec.ValidationError:
            pass  # written by another version: the recordings still say what they say
    return _thought(campaign, [think(store, row.id) for row in campaign.trials if row.role != WARMING])


def recall_trial(store: Store, campaign: Campaign, trial: str, part: Part | None = None) -> Document:
    """What one trial's recording says, also of a part of its requests: its exact figures are then in `slices`."""
    recording = store.recording(trial)
    measured = think(store, trial)
    document = structs.replace(_thought(campaign, [measured]), status=recording.status)
    if part is None:
        return document
    timed = part.from_s is not None or part.to_s is not None
    return structs.replace(document, slices=(sliced(recording, part, _voiding(measured.doubts, timed=timed)),))


def recall_request(store: Store, campaign: Campaign, trial: str, wanted: str) -> Document:
    """A sampled request of a trial, by its id (a run of a journey: all steps) or "slowest" or "median", in `requests`.

    Raises:
        PlanError: there is none of that id among those that were sampled.
    """
    found = sorted(sampled_of(store.recording(trial)), key=lambda each: each.latency_s)
    if not found:
        raise RecordingError(
            f"Trial {trial} holds no sampled request: the gauge tells of none without its app, or where "
            "PRONY_GAUGE_DETAIL is off.",
            hint=f"prony report {trial}",
        )
    by_name = {"slowest": found[-1:], "median": found[(len(found) - 1) // 2 :][:1]}
    chosen = by_name.get(wanted) or [each for each in found if str(each.id) == wanted]
    if not chosen:
        near = ", ".join(str(each.id) for each in found[:-6:-1])
        raise PlanError(
            f"--request: found {wanted}; allowed: slowest, median, or one of the {len(found)} sampled requests of "
            f"trial {trial}, such as the slowest: {near}.",
            hint=f"prony report {trial} --request slowest",
        )
    chosen.sort(key=lambda each: each.due_s)
    return structs.replace(recall_trial(store, campaign, trial), requests=tuple(chosen))


def _voiding(doubts: Iterable[Doubt], *, timed: bool) -> tuple[str, ...]:
    """Those that void latencies of a part too.

    How many samples it has is its own affair, and a stretch of time presumes no steady state.
    """
    spared = {"few_samples", "backlog_growing"} if timed else {"few_samples"}
    return tuple(
        doubt.name
        for doubt in doubts
        if doubt.name not in spared and any(name == "all" or name.startswith("latency_s") for name in doubt.voids)
    )


def _thought(campaign: Campaign, measured: list[Measured]) -> Document:
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
