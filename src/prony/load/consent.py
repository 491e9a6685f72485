"""A host's consent in, a signature that the load engine believes out: made and checked with a secret of this user's.

Load goes to loopback, or to an address for which such a signature holds. It can be made only by what has read the
secret, and `prony.alone.consent` makes one only where a host has published its token.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path
from typing import Final

from prony.app.environment import state_folder

HOLDS_S: Final = 600  # long enough for a trial to begin
_BYTES: Final = 32


def secret_file() -> Path:
    """Where this user's secret is kept."""
    return state_folder() / "consent.key"


def secret() -> bytes:
    """This user's secret, made where there is none; raises OSError."""
    file = secret_file()
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
        scratch.touch(mode=0o600)
        scratch.write_bytes(secrets.token_bytes(_BYTES))
        try:
            os.link(scratch, file)
        except FileExistsError:  # another prony was quicker
            pass
        finally:
            scratch.unlink()
    found = file.read_bytes()
    if len(found) != _BYTES:
        raise OSError(f"{file} does not hold {_BYTES} bytes: remove it, and publish the new tokens")
    return found


def token(host: str) -> str:
    """What a host publishes to say that this user may load it; raises OSError."""
    return f"prony-{_mac('token', host)[:40]}"


def sign(address: str, port: int, host: str) -> str:
    """What lets the engine load an address and port, asking for `host`, if it begins within ten minutes."""
    until = str(int(time.time()) + HOLDS_S)
    return f"{until}.{_mac('load', until, address, str(port), host)}"


def holds(signature: str, address: str, port: int, host: str) -> bool:
    """Whether a signature is one for these, and not out of date."""
    until, _, mac = signature.partition(".")
    if not (until.isascii() and until.isdigit() and len(until) <= 12 and mac.isascii()):
        return False
    try:
        right = _mac("load", until, address, str(port), host)
    except OSError:
        return False
    return hmac.compare_digest(mac, right) and time.time() <= int(until) <= time.time() + HOLDS_S


def _mac(*parts: str) -> str:
    return hmac.new(secret(), "\0".join(parts).encode(), hashlib.sha256).hexdigest()
