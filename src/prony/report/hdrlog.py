"""A recording in, an HdrHistogram log of its latencies out: a line for each second and route.

The format is that of HdrHistogram's HistogramLogWriter 1.3, its payload the V2 encoding: counts as ZigZag LEB128, runs
of zeros as negative numbers, compressed by zlib, in base64. Values are nanoseconds, kept to 3 digits.
"""

from __future__ import annotations

import base64
import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from prony.recording import Recording
from prony.samples import UNANSWERED
from prony.summary import Part, sending_window, within

DIGITS: Final = 3
HIGHEST_NS: Final = 3600 * 10**9
INTERVAL_NS: Final = 10**9
_SUB_BITS: Final = 11  # 2 048 sub-buckets: what 3 digits ask for
_HALF: Final = 1 << _SUB_BITS - 1
_ENCODED, _COMPRESSED = 0x1C849303 | 0x10, 0x1C849304 | 0x10  # cookies: version 2, words of variable length
_HEADER: Final = struct.Struct(">iiiiqqd")


def write(path: Path, recordings: Iterable[Recording], part: Part) -> int:
    """Writes the log of one recording; returns how many latencies are in it.

    Instants are seconds from the start of the sending window.

    Raises:
        ValueError: there is more than one recording, or none.
    """
    (recording,) = recordings
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("#[Histogram log format version 1.3]\n")
        file.write(f"#[prony trial {recording.id}: latency from when a request was due, ns; tags: routes]\n")
        file.write('"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n')
        for tag, second, values_ns in _intervals(recording, part):
            count += len(values_ns)
            file.write(f"Tag={tag},{second:.3f},1.000,{values_ns.max() / 1e6:.3f},{encoded(values_ns)}\n")
    return count


def _intervals(recording: Recording, part: Part) -> Iterator[tuple[str, int, Any]]:
    """(tag, second, latencies of the answers to requests due in it), in order of time."""
    samples = recording.served
    answered = (samples["first_byte_ns"] > 0) & (samples["done_ns"] > 0) & (samples["outcome"] < UNANSWERED)
    its = samples[answered & within(recording, samples, part)]
    seconds = np.maximum(its["due_ns"] - sending_window(recording).start_ns, 0) // INTERVAL_NS
    order = np.lexsort((its["route"], seconds))
    its, seconds = its[order], seconds[order]
    latency_ns = np.maximum(its["done_ns"] - its["due_ns"], 0)
    change = (np.diff(seconds) != 0) | (np.diff(its["route"].astype(np.int64)) != 0)
    edges = [0, *(np.flatnonzero(change) + 1).tolist(), len(its)] if len(its) else []
    names = recording.routes
    for begin, end in itertools.pairwise(edges):
        number = int(its["route"][begin])
        name = names[number] if number < len(names) else f"route {number}"
        yield tag_of(name), int(seconds[begin]), latency_ns[begin:end]


def tag_of(name: str) -> str:
    """A route's name as a tag may be: what the format does not allow in one is percent-encoded."""
    return "".join(quote(c) if c in "%," or c.isspace() or not c.isprintable() else c for c in name)


def encoded(values_ns: Any) -> str:
    """A histogram of nanoseconds, in the compressed V2 encoding, as base64."""
    values_ns = np.asarray(values_ns, dtype=np.int64)
    counts = np.bincount(_places(values_ns))
    words = bytearray()
    before = -1
    for at in np.flatnonzero(counts).tolist():
        if at - before > 1:
            words += _word(before + 1 - at)
        words += _word(int(counts[at]))
        before = at
    highest = max(HIGHEST_NS, int(values_ns.max(initial=0)))
    payload = zlib.compress(_HEADER.pack(_ENCODED, len(words), 0, DIGITS, 1, highest, 1.0) + words)
    return base64.b64encode(struct.pack(">ii", _COMPRESSED, len(payload)) + payload).decode("ascii")


def _places(values: Any) -> Any:
    """Where each value is counted: exact below 2 048, then to 1 of 1 024 within each power of two."""
    bits = np.frexp(np.maximum(values, 1).astype(np.float64))[1]
    bucket = np.maximum(bits - _SUB_BITS, 0)
    return (bucket + 1) * _HALF + (values >> bucket) - _HALF


def _word(number: int) -> bytes:
    """A number as ZigZag LEB128: at most 9 bytes, the last of which has all 8 bits."""
    left = number << 1 if number >= 0 else (-number << 1) - 1
    found = bytearray()
    while left > 0x7F and len(found) < 8:
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    return bytes(found)
