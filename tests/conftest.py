"""What every test relies on: Ctrl-C works, also where whoever started pytest in the background has it ignored."""

from __future__ import annotations

import signal


def pytest_sessionstart() -> None:
    """Programs that tests start inherit an ignored signal; a handled one is theirs to handle."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
