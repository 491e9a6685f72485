"""A sampled request's instants, the engine's and the app's, in; its parts in order out: they add up to its latency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

OWN = "app"  # the app's own time: what no other part has


class Part(Struct, frozen=True):
    """One stretch of a request in nanoseconds: lateness, way_in, way_out, app, or a step's kind with its label.

    Of very many steps the later ones are put together by label, which then says how many: "40 × SELECT ?".
    """

    kind: str
    label: str
    began_ns: int
    ended_ns: int


def timeline(instants: Sequence[int], steps: Iterable[tuple[str, str, int, int]]) -> tuple[Part, ...]:
    """Due → sent → entry → steps and what lies between → exit → last byte, without gap or overlap.

    Steps that run at the same time, as tasks do, share it in the order in which they began; what lies outside of entry
    and exit is cut off.

    Args:
        instants: due, sent, entry, exit and done, in nanoseconds of one clock.
        steps: (kind, label, began_ns, ended_ns).
    """
    due, sent, entry, left, done = instants
    parts = [Part("lateness", "", due, sent), Part("way_in", "", sent, entry)]
    at = entry
    for kind, label, first, last in sorted(steps, key=lambda step: (step[2], step[3])):
        began, ended = max(first, at), min(last, left)
        if ended <= began:
            continue
        if began > at:
            parts.append(Part(OWN, "", at, began))
        parts.append(Part(kind, label, began, ended))
        at = ended
    if at < left:
        parts.append(Part(OWN, "", at, left))
    parts.append(Part("way_out", "", left, done))
    return tuple(parts)
