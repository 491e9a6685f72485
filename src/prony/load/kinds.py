"""What routes ask of an answer in, the kind of connection that takes no more of it than that out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prony.load.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Collection

    from prony.load.mix import Route


def kind_for(routes: Collection[Route], *, https: bool, pages: bool = False, timed: bool = False) -> type[Connection]:
    """The kind of connection for a load; what none of its routes needs is not imported.

    Args:
        routes: Of its requests.
        https: Whether it goes over TLS.
        pages: Whether journeys look at the answers.
        timed: Whether some requests carry their instants.
    """
    kind = _kind(routes, pages=pages)
    if timed:
        from prony.load.timed import with_instants  # noqa: PLC0415 - see above

        kind = with_instants(kind)
    if not https:
        return kind
    from prony.load.tls import over_tls  # noqa: PLC0415 - see above

    return over_tls(kind)


def _kind(routes: Collection[Route], *, pages: bool) -> type[Connection]:
    if pages:
        from prony.load.keeping import PageConnection  # noqa: PLC0415 - see above

        return PageConnection
    if any(route.stream is not None for route in routes):
        from prony.load.streams import StreamConnection  # noqa: PLC0415 - see above

        return StreamConnection
    if any(route.checks is not None for route in routes):
        from prony.load.checking import CheckingConnection  # noqa: PLC0415 - see above

        return CheckingConnection
    return Connection
