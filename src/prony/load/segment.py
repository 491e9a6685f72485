"""Samples into a file that is never behind by more than a tenth of a second, and send lags into percentiles."""

from __future__ import annotations

import os
from typing import Final

from prony.samples import ROW

_ROW_BYTES: Final = ROW.size
_SPACE_BYTES: Final = 16_384 * _ROW_BYTES
_pack_into: Final = ROW.pack_into  # looked up once, not once per request
FINE_BITS: Final = 10  # bins of 2^10 ns, ...
_COARSE_BITS: Final = 20  # ... and of 2^20 ns
_FINE_BINS: Final = 65_536
FINE_NS: Final = _FINE_BINS << FINE_BITS


class Segment:
    """An append-only file of `ROW`s, gathered in memory between two flushes.

    Args:
        path: The file; made where it does not exist, appended to where it does.

    Raises:
        OSError: The file cannot be opened, or (when flushing) written to.
    """

    __slots__ = ("_fd", "_size", "_space", "_view")

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._space = bytearray(_SPACE_BYTES)
        self._view = memoryview(self._space)
        self._size = 0

    def add(  # noqa: PLR0917 - what a row is packed from, in its order: this is called once per request
        self,
        due_ns: int,
        sent_ns: int,
        first_byte_ns: int,
        done_ns: int,
        size: int,
        route: int,
        status: int,
        word: int,
    ) -> None:
        """Append one sample; instants in monotonic nanoseconds, 0 where it did not happen; size below 2^32."""
        at = self._size
        if at == _SPACE_BYTES:
            self.flush()
            at = 0
        _pack_into(self._space, at, due_ns, sent_ns, first_byte_ns, done_ns, size, route, status, word)
        self._size = at + _ROW_BYTES

    def flush(self) -> None:
        """Hand what was gathered to the kernel, in one write where it takes it whole."""
        written = 0
        while written < self._size:
            written += os.write(self._fd, self._view[written : self._size])
        self._size = 0

    def close(self) -> None:
        """Flush and close."""
        try:
            self.flush()
        finally:
            os.close(self._fd)


class LagCounts:
    """How late requests were sent: counts in bins of 1 µs, of 1 ms from 67 ms on, so that any number of them fits.

    Attributes:
        fine: The count of each lag below `FINE_NS`, at `lag_ns >> FINE_BITS`; the busiest caller counts these itself.
    """

    __slots__ = ("_coarse", "fine")

    def __init__(self) -> None:
        self.fine = [0] * _FINE_BINS
        self._coarse: dict[int, int] = {}

    def add(self, lag_ns: int) -> None:
        """Count a lag, however long."""
        if lag_ns < FINE_NS:
            self.fine[lag_ns >> FINE_BITS] += 1
            return
        at = lag_ns >> _COARSE_BITS
        self._coarse[at] = self._coarse.get(at, 0) + 1

    def counts(self) -> dict[int, int]:
        """Bins and their counts: those below `FINE_NS` by their number, those above as -1 - theirs."""
        fine = {at: count for at, count in enumerate(self.fine) if count}
        return fine | {-1 - at: count for at, count in self._coarse.items()}

    def quantile_s(self, q: float) -> float:
        """The q-th quantile (0 < q <= 1) as its bin's upper edge, in seconds; 0 where nothing was counted."""
        return quantile_s(self.counts(), q)


def quantile_s(counts: dict[int, int], q: float) -> float:
    """The q-th quantile (0 < q <= 1) of `LagCounts.counts`, perhaps added up: its bin's upper edge in seconds."""
    rank = q * sum(counts.values())
    seen, edge_ns = 0, 0
    for at in sorted(counts, key=lambda at: at if at >= 0 else _FINE_BINS - at):
        seen += counts[at]
        edge_ns = (at + 1) << FINE_BITS if at >= 0 else -at << _COARSE_BITS
        if seen >= rank:
            break
    return edge_ns / 1e9
