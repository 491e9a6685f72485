"""The errno of a socket that failed into the outcome of the request that it carried."""

from __future__ import annotations

import errno
from typing import Final

from prony.samples import DESCRIPTORS_EXHAUSTED, PORTS_EXHAUSTED, REFUSED, RESET, TIMEOUT

_OUTCOMES: Final = {
    0: RESET,  # closed by the server, without an error
    errno.ECONNRESET: RESET,
    errno.EPIPE: RESET,
    errno.ETIMEDOUT: TIMEOUT,
    errno.ECONNREFUSED: REFUSED,
    errno.EADDRNOTAVAIL: PORTS_EXHAUSTED,
    errno.EMFILE: DESCRIPTORS_EXHAUSTED,
    errno.ENFILE: DESCRIPTORS_EXHAUSTED,
    errno.ENOBUFS: DESCRIPTORS_EXHAUSTED,
    errno.ENOMEM: DESCRIPTORS_EXHAUSTED,
}

# Outcomes of requests that reached no server.
UNREACHED: Final = frozenset((REFUSED, PORTS_EXHAUSTED, DESCRIPTORS_EXHAUSTED))


def outcome_of(code: int, otherwise: int) -> int:
    """The outcome that an errno stands for; `otherwise` for one that is not expected of a loopback socket."""
    return _OUTCOMES.get(code, otherwise)
