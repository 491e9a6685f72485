"""Turns prony's environment variables into hooks, at the start of the interpreter and before anything of the app."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OFF = {"off", "0", "false", "no"}  # of PRONY_GAUGE_DETAIL: requests, connections and exceptions are counted alone


def start() -> None:
    """Install what the environment asks for. Imports no threading, socket or driver: gevent patches those later."""
    after: dict[str, Any] = {}
    overlay = os.environ.get("PRONY_OVERLAY")
    if overlay and overlay not in sys.path:
        sys.path.append(overlay)  # last: what the user has installed goes before it
    if os.environ.get("PRONY_EGRESS") == "on":
        from prony_gauge import egress, ways_out

        hosts, closed = (os.environ.get("PRONY_EGRESS_" + each, "").split(",") for each in ("HOSTS", "CLOSED"))
        hook, opened = egress.containment(hosts, closed)
        after.update(ways_out.WaysOut(hook, opened).after_import)
        if opened:
            after["socket"] = egress.learn(opened)
        sys.addaudithook(hook)
    if os.environ.get("PRONY_GAUGE_DIR"):
        import mmap  # noqa: F401 # now: a refusal is counted from within an audit hook, no place for an import

        from prony_gauge.libraries import AFTER_IMPORT
        from prony_gauge.mapped import follow_forks

        after.update(AFTER_IMPORT)
        if os.environ.get("PRONY_GAUGE_DETAIL", "").lower() not in OFF:
            from prony_gauge import calls, databases, patterns
            from prony_gauge.imports import both

            for more in (databases.AFTER_IMPORT, calls.AFTER_IMPORT, patterns.AFTER_IMPORT):
                for name, call in more.items():
                    after[name] = both(after[name], call) if name in after else call
        if os.environ.get("PRONY_GAUGE_RUNSERVER") == "1":
            from prony_gauge import runserver

            after.update(runserver.AFTER_IMPORT)
        follow_forks()
    if after:
        from prony_gauge.imports import watch

        watch(after)
