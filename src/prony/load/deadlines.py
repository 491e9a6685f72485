"""Requests under way in, those whose time is over out, and how each of them ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from prony.samples import CONNECT_TIMEOUT, FIRST_BYTE_TIMEOUT, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prony.load.connection import Connection
    from prony.load.spec import LoadSpec, StreamSpec
    from prony.load.streams import StreamConnection

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
                outcome = self._of_stream(cast("StreamConnection", connection), stream, now_ns, end_ns)
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

    def _of_stream(self, connection: StreamConnection, stream: StreamSpec, now_ns: int, end_ns: int) -> int | None:
        """How a stream ends that was read for as long as was asked for, or until the window ended.

        One that has brought nothing by the window's end has the time of any request until its first event.
        """
        over_ns = _NEVER_NS if stream.for_s is None else connection.first_byte_ns + round(stream.for_s * 1e9)
        if not connection.settled:
            end_ns = max(end_ns, connection.sent_ns + self._whole_ns)
        if now_ns < min(over_ns, end_ns):
            return None
        return connection.judged() if connection.head_done else TIMEOUT
