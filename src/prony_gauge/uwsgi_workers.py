"""Turns uWSGI's own forks, of which Python's at-fork hooks hear nothing, into workers with a gauge each."""

from __future__ import annotations

import os

from prony_gauge.mapped import GAUGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def serving(uwsgi: Any) -> None:
    """The entry has been loaded: here by a worker (lazy-apps), else by the process that workers are forked from.

    The hook is called in every worker, also where the first is the process that loaded (no master), and in mules.

    Args:
        uwsgi: The module that uWSGI puts into the interpreter.
    """
    if uwsgi.worker_id():
        GAUGE.serving()
        return
    theirs = getattr(uwsgi, "post_fork_hook", None)  # uwsgidecorators', if the app has imported it

    def forked() -> None:
        if os.getpid() != GAUGE.pid:
            GAUGE.forked()
        if uwsgi.worker_id():
            GAUGE.serving()
        if theirs is not None:
            theirs()

    uwsgi.post_fork_hook = forked
