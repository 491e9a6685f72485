"""What every test relies on: Ctrl-C works, also where pytest was started in the background; no test asserts a speed."""

from __future__ import annotations

import signal

from hypothesis import settings

settings.register_profile("prony", deadline=None)
settings.load_profile("prony")


def pytest_sessionstart() -> None:
    """Programs that tests start inherit an ignored signal; a handled one is theirs to handle."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
