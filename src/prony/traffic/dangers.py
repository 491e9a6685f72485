"""A path in, the word of it that a load test had better not ask for out: what logs out, deletes, pays or mails."""

from __future__ import annotations

import re
from functools import lru_cache

WORDS = frozenset(
    """
    logout signout logoff signoff delete remove destroy drop purge wipe erase clear flush reset cancel
    unsubscribe deactivate disable close revoke archive restore checkout pay payment purchase refund charge
    send resend notify impersonate hijack shutdown restart reboot rebuild reindex backup import upload
    """.split()  # noqa: SIM905 - a word a line would read no better
)
_PAIRS = frozenset({"log out", "sign out", "log off", "sign off"})
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@lru_cache(maxsize=8192)
def dangerous(path: str) -> str:
    """The first word of a path, without its query and its {placeholders}, that is one of `WORDS`; else nothing.

    A word counts where a segment begins with it: /items/3/delete and /deleteItem, not /articles/how-to-delete.
    """
    for segment in re.sub(r"\{[^}]*\}", "", path.partition("?")[0]).split("/"):
        parts = [part.lower() for part in _PART.findall(segment)[:2]]
        if parts and parts[0] in WORDS:
            return str(parts[0])
        if " ".join(parts) in _PAIRS:
            return "".join(parts)
    return ""
