"""Turns some requests of a load into requests that say which they are and when they were due and sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from prony.load.connection import Connection
    from prony.load.mix import Route

HEADER: Final = b"prony-timing"
EACH_SECOND: Final = 100  # about so many at the most: what the gauge keeps of each costs its reader time


class Timed:
    """Which requests carry their instants: one in a power of two, by the ordinal of their turn.

    A request's turn has nothing to do with how long it takes, so those that are sampled stand for all.

    Attributes:
        mask: A turn that has none of these bits is one.

    Args:
        rate_rps: The rate that is expected; 0 where it is not known.
    """

    __slots__ = ("_sent", "mask")

    def __init__(self, rate_rps: float = 0.0) -> None:
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


class _Owner(Protocol):
    timed: Timed


class _WithInstants:
    """What differs in a connection some of whose requests carry their instants; goes before a kind of `Connection`."""

    __slots__ = ()

    # what the other class has
    owner: _Owner
    wire: bytes

    def begin(self, route: Route, wire: bytes, due_ns: int, sent_ns: int, turn: int) -> int:
        """Write a request; see `Connection`. What it keeps is the bare one: sent again, it has other instants."""
        sent = wire if turn & self.owner.timed.mask else carrying(wire, turn, due_ns, sent_ns)
        code: int = super().begin(route, sent, due_ns, sent_ns, turn)  # type: ignore[misc] # the other class has it
        self.wire = wire  # type: ignore[misc] # the same
        return code


def with_instants(kind: type[Connection]) -> type[Connection]:
    """The kind of connection, some of whose requests carry their instants."""
    made = type(f"{kind.__name__}WithInstants", (_WithInstants, kind), {"__slots__": ()})
    return cast("type[Connection]", made)


def carrying(wire: bytes, turn: int, due_ns: int, sent_ns: int) -> bytes:
    """The request with its instants as one more header field, after its first line."""
    line, _, rest = wire.partition(b"\r\n")
    return b"%s\r\n%s: %d %d %d\r\n%s" % (line, HEADER, turn, due_ns, sent_ns, rest)
