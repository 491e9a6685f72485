"""Turns some requests of a load into requests that say which they are and when they were due and sent."""

from __future__ import annotations

from typing import Final

HEADER: Final = b"prony-timing"
EACH_SECOND: Final = 100  # about so many at the most: what the gauge keeps of each costs its reader time
_NONE: Final = -1


class Timed:
    """Which requests carry their instants: one in a power of two, by the ordinal of their turn.

    A request's turn has nothing to do with how long it takes, so those that are sampled stand for all.

    Attributes:
        mask: A turn whose bits here are those of `want` is one.
        want: No turn has `_NONE`.

    Args:
        on: Whether any carries them.
        rate_rps: The rate that is expected; 0 where it is not known.
    """

    __slots__ = ("_sent", "mask", "want")

    def __init__(self, *, on: bool, rate_rps: float = 0.0) -> None:
        self.want = 0 if on else _NONE
        self._sent = 0
        self.mask = 0
        self._of(rate_rps)

    def _of(self, rate_rps: float) -> None:
        mask = 0
        while rate_rps > EACH_SECOND * (mask + 1):
            mask = 2 * mask + 1
        self.mask = max(self.mask, mask)  # it never goes back: a sample of one rate throughout, where the rate is

    def second(self, sent: int) -> None:
        """A second is over, with so many sent since the beginning."""
        self._of(sent - self._sent)
        self._sent = sent


def with_instants(wire: bytes, turn: int, due_ns: int, sent_ns: int) -> bytes:
    """The request with its instants as one more header field, after its first line."""
    line, _, rest = wire.partition(b"\r\n")
    return b"%s\r\n%s: %d %d %d\r\n%s" % (line, HEADER, turn, due_ns, sent_ns, rest)
