"""Turns a sampled request into the text of one event; of very many steps, the later are put together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from prony.probes.ledger import Step, Timing

TEXT_MOST, LABEL_MOST = 3900, 160  # characters of such an event, and of a label in it
ALONE_MOST = 300  # steps by themselves: each has 13 characters at the least


def text_of(timing: Timing) -> str:
    """[id, entry, exit, route, labels, steps], a step being [kind, label's number, ns from the entry, ns].

    Where that is too long, the later steps are put together by label ("40 × SELECT ?"), or else by kind: what they took
    stays theirs, and only their order among each other and the app's own time between them is not kept.
    """
    text = _encoded(timing, timing.steps) if len(timing.steps) <= ALONE_MOST else ""
    if 0 < len(text) <= TEXT_MOST:
        return text
    steps = _apart(timing.steps)
    if not steps:
        return _encoded(timing, [])
    text = " " * (TEXT_MOST + 1)
    for by_label in (True, False):
        alone = min(len(steps), ALONE_MOST)
        while len(text) > TEXT_MOST and alone:
            alone = alone * 3 // 4
            text = _encoded(timing, [*steps[:alone], *_together(steps[alone:], by_label=by_label)])
    return text


def _encoded(timing: Timing, steps: Sequence[Step]) -> str:
    labels = list(dict.fromkeys(step.label[:LABEL_MOST] for step in steps))
    numbers = {label: number for number, label in enumerate(labels)}
    told = [
        (step.kind, numbers[step.label[:LABEL_MOST]], step.began_ns - timing.entry_ns, step.ended_ns - step.began_ns)
        for step in steps
    ]
    row = (timing.id, timing.entry_ns, timing.exit_ns, timing.route[:LABEL_MOST], labels, told)
    return msgspec.json.encode(row).decode()


def _apart(steps: Sequence[Step]) -> list[Step]:
    """In order, those that run at the same time one after the other, as `summary.timeline` has them."""
    found: list[Step] = []
    at = 0
    for step in sorted(steps, key=lambda step: (step.began_ns, step.ended_ns)):
        began = max(step.began_ns, at)
        if step.ended_ns > began:
            found.append(step._replace(began_ns=began))
            at = step.ended_ns
    return found


def _together(steps: Sequence[Step], *, by_label: bool) -> Iterator[Step]:
    """One step for all of a kind and label, one after the other from where the first of all began."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for step in steps:
        key = (step.kind, step.label[:LABEL_MOST] if by_label else "")
        count, ns = sums.get(key, (0, 0))
        sums[key] = (count + 1, ns + step.ended_ns - step.began_ns)
    at = steps[0].began_ns
    for (kind, label), (count, ns) in sums.items():
        yield Step(kind, f"{count} × {label or kind}" if count > 1 else label, at, at + ns)
        at += ns
