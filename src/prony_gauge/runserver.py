"""Turns the app that Django's runserver finds by itself, which loads no entry of ours, into one that is counted."""

from __future__ import annotations

from prony_gauge.mapped import GAUGE
from prony_gauge.wsgi import measured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def django_core_servers_basehttp(module: Any) -> None:
    """Right after it ran: runserver takes the name out of it a moment later."""
    find = module.get_internal_wsgi_application

    def get_internal_wsgi_application() -> Any:
        found = measured(find())
        GAUGE.serving()
        return found

    module.get_internal_wsgi_application = get_internal_wsgi_application


AFTER_IMPORT = {"django.core.servers.basehttp": django_core_servers_basehttp}
