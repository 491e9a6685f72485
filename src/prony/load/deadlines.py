"""Requests under way in, those whose time is over out, and how each of them ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prony.samples import CONNECT_TIMEOUT, FIRST_BYTE_TIMEOUT, OK, TIMEOUT, WRONG_STATUS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prony.load.connection import Connection
    from prony.load.spec import LoadSpec

_NEVER_NS: Final = 2**62


class Deadlines:
    """How long a request may take: to its connection, to its answer's first byte, in all. A stream has its own time.

    Args:
        spec: Its timeouts.
    """

    __slots__ = ("_connect_ns", "_first_byte_ns", "_shortest_ns", "_whole_ns")

    def __init__(self, spec: LoadSpec) -> None:
        self._whole_ns = round(spec.timeout_s * 1e9)
        self._connect_ns = _NEVER_NS if spec.connect_timeout_s is None else round(spec.connect_timeout_s * 1e9)
        self._first_byte_ns = _NEVER_NS if spec.first_byte_timeout_s is None else round(spec.first_byte_timeout_s * 1e9)
        self._shortest_ns = min(self._whole_ns, self._connect_ns, self._first_byte_ns)

    def late(
        self, in_order: Iterable[Connection], others: Iterable[Connection], now_ns: int, end_ns: int
    ) -> list[tuple[Connection, int]]:
        """The connections whose requests are to be ended now, each with its outcome.

        Args:
            in_order: Those whose requests were sent one after the other.
            others: Any others, streams among them.
            now_ns: This instant.
            end_ns: When the sending window ends, and streams with it.
        """
        found = []
        for connection in others:
            stream = connection.route.stream if connection.route else None
            if stream is None or not connection.first_byte_ns:
                outcome = self._outcome(connection, now_ns)
            else:
                open_ns = end_ns if stream.for_s is None else connection.first_byte_ns + round(stream.for_s * 1e9)
                outcome = None if now_ns < min(open_ns, end_ns) else self._ended(connection)
            if outcome is not None:
                found.append((connection, outcome))
        for connection in in_order:
            if connection.sent_ns + self._shortest_ns > now_ns:
                break
            outcome = self._outcome(connection, now_ns)
            if outcome is not None:
                found.append((connection, outcome))
        return found

    def _outcome(self, connection: Connection, now_ns: int) -> int | None:
        age_ns = now_ns - connection.sent_ns
        if age_ns >= self._connect_ns and not connection.connected:
            return CONNECT_TIMEOUT
        if age_ns >= self._first_byte_ns and not connection.first_byte_ns:
            return FIRST_BYTE_TIMEOUT
        return TIMEOUT if age_ns >= self._whole_ns else None

    @staticmethod
    def _ended(connection: Connection) -> int:
        """How a stream ends that was read for as long as was asked for."""
        if not connection.head_done:
            return TIMEOUT
        return OK if connection.route and connection.status in connection.route.statuses else WRONG_STATUS
