"""A stored plan and the one its prony.toml makes now in, the stored one with what is never stored put back out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from prony.errors import PlanError
from prony.plan.login import Login
from prony.plan.model import App, Plan, Store

MISSING_MAX = 5


def restored(stored: Plan, now: Plan, name: str) -> Plan:
    """The stored plan as it can run again: values that `Plan.redacted` took out are those of today's prony.toml.

    Args:
        stored: As a recording has it.
        now: What its prony.toml says today.
        name: What messages call the recording.

    Raises:
        PlanError: its folder or interpreter is gone, or prony.toml no longer says a value that was not stored.
    """
    _still_there(stored.app, name)
    stores = {key: _store(store, now.stores.get(key), now.source, name) for key, store in stored.stores.items()}
    env = _values(stored.app.env, now.app.env, f"{now.source}: [app] env", name)
    today = now.redacted()
    for what, was, here in (
        ("[app] prepare", stored.app.prepare, today.app.prepare),
        ("the workers", stored.workers, today.workers),
    ):
        if was != here and any("=(redacted)" in str(each) for each in was):
            raise PlanError(
                f"{now.source}: {what} differ from what {name} was measured with, which set values that are never "
                "stored, and are taken from there.",
                hint="compare folders",
            )
    same = stored.app.prepare == today.app.prepare
    workers = now.workers if stored.workers == today.workers else stored.workers
    headers = _values(stored.traffic.headers, now.traffic.headers, f"{now.source}: [traffic] headers", name)
    return structs.replace(
        stored,
        app=structs.replace(stored.app, env=env, prepare=now.app.prepare if same else stored.app.prepare),
        workers=workers,
        stores=stores,
        traffic=structs.replace(stored.traffic, headers=headers),
        login=stored.login and _login(stored.login, now.login, now.source, name),
    )


def _still_there(app: App, name: str) -> None:
    for what, path, there in (
        ("folder", app.folder, os.path.isdir(app.folder)),  # noqa: PTH112 - Path's own raises on a name too long
        ("interpreter", app.python, os.path.isfile(app.python)),  # noqa: PTH113 - the same
    ):
        if not there:
            raise PlanError(
                f"{name}: its app's {what} {path} is gone, and cannot be measured afresh.",
                hint="name a folder, or git:REVISION, in place of the recording",
            )


def _values(wanted: Mapping[str, Any], now: Mapping[str, str], where: str, name: str) -> dict[str, str]:
    """The values of today for the names that were stored."""
    missing = [each for each in wanted if each not in now]
    if missing:
        more = f" and {len(missing) - MISSING_MAX} more" if len(missing) > MISSING_MAX else ""
        raise PlanError(
            f"{where}: found no {', '.join(missing[:MISSING_MAX])}{more}, which {name} was measured with; values are "
            "never stored, and are taken from there.",
            hint="name them there again, or compare folders",
        )
    return {each: now[each] for each in wanted}


def _store(stored: Store, now: Store | None, source: str, name: str) -> Store:
    hidden = bool(stored.url or stored.at or isinstance(stored.env, dict))
    if not hidden:
        return stored
    if now is None or now.kind != stored.kind:
        raise PlanError(
            f"{source}: [stores.{stored.name}]: found {'none' if now is None else now.kind}; {name} was measured with "
            f"{stored.kind}, whose addresses are never stored, and are taken from there.",
            hint="compare folders",
        )
    env = now.env if isinstance(stored.env, dict) else stored.env
    return structs.replace(stored, url=stored.url and now.url, at=stored.at and now.at, env=env)


def _login(stored: Login, now: Login | None, source: str, name: str) -> Login:
    if now is None or now.kind != stored.kind:
        raise PlanError(
            f"{source}: [login]: found {'none' if now is None else now.kind}; {name} was measured with visitors logged "
            f"in by {stored.kind}, and what they log in with is never stored.",
            hint="compare folders",
        )
    kept = ("fields", "user", "password", "session", "rows")
    return structs.replace(stored, **{each: getattr(now, each) for each in kept})
