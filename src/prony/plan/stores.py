"""The [stores.NAME] tables in, what the app keeps its data in as frozen data out."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prony.errors import PlanError
from prony.knobs import stores
from prony.plan import addresses, keys
from prony.plan.checks import only_known, shown, values_of, word
from prony.plan.keys import Key
from prony.plan.model import Store

EXAMPLES = {
    "postgres": "postgres://shop:secret@db:5432/shop",
    "mariadb": "mysql://shop:secret@db:3306/shop",
    "valkey": "redis://cache:6379/0",
    "redis": "redis://cache:6379/0",
    "memcached": "memcached://cache:11211",
}
_TAKEN = {"postgres": ("template0", "template1", "prony"), "mariadb": ("mysql", "sys", "information_schema")}
_ROLES = {"postgres": ("prony", "loader")}


def read_store(table: dict[str, Any], name: str, source: str, folder: Path) -> Store:
    """One [stores.NAME] table.

    Raises:
        PlanError: one paragraph on the first thing that is wrong.
    """
    path = f"stores.{name}"
    kinds = keys.SQL_KINDS if name == "database" else keys.OTHER_KINDS
    kind_key = Key("kind", "choice", kinds[0], "Which program keeps the data.", choices=kinds)
    if name != "database" and "kind" not in table:
        near = " Did you mean database?" if difflib.get_close_matches(name, ["database"]) else ""
        raise PlanError(f"{source}: [{path}] kind is missing; {kind_key.allowed()} is needed.{near}")
    kind = values_of(table, (kind_key,), source, path)["kind"]
    knobs = stores.STORES.get(kind, ())
    own = (kind_key, keys.STORE_ENV, *keys.STORE_KEYS[kind])
    _belongs(table, kind, own, source, path)
    only_known(table, [*(key.name for key in own), *(knob.key for knob in knobs)], source, path)
    plain = values_of(table, own, source, path)
    values = values_of(table, knobs, source, path)
    if kind == "url":
        _check_url(plain["url"], source, path)
    if plain.get("at"):
        _check_at(plain["at"], kind, values, source, path)
    if plain.get("file"):
        _check_file(plain["file"], source, path)
        values["journal_mode"] = values["journal_mode"] if "journal_mode" in table else ""  # as the file has it
    elif plain.get("fresh"):
        raise PlanError(
            f"{source}: [{path}] fresh: found true and no file; allowed: with the database file that the app's "
            "settings name. Without one the database is prony's own, and fresh.",
            hint=f'file = "db.sqlite3" under [{path}]',
        )
    return Store(
        name=name,
        kind=kind,
        env=_env(plain, name, kind, source, path),
        url=plain.get("url") or "",
        at=plain.get("at", ""),
        file=os.path.normpath(folder.absolute() / plain["file"]) if plain.get("file") else "",
        fresh=plain.get("fresh", False),
        dump=_dump(plain.get("dump", ""), folder, source, path),
        knobs=values,
    )


def _belongs(table: Mapping[str, Any], kind: str, own: tuple[Key, ...], source: str, path: str) -> None:
    """A key of other kinds is told as such."""
    for key in table:
        takers = [each for each, found in keys.STORE_KEYS.items() if key in {one.name for one in found}]
        if takers and key not in {one.name for one in own}:
            raise PlanError(
                f"{source}: [{path}] {key}: found a key that kind = {kind} does not take; allowed: with kind = "
                f"{', '.join(takers)}."
            )


def _env(plain: Mapping[str, Any], name: str, kind: str, source: str, path: str) -> str | dict[str, str]:
    env: str | dict[str, str] | None = plain["env"]
    if env is None and (plain.get("at") or plain.get("file")):
        return ""
    if env is None:
        env = "DATABASE_URL" if name == "database" else keys.STORE_VARIABLES.get(kind, "")
    if not env:
        raise PlanError(
            f"{source}: [{path}] env is missing; the environment variable is needed that hands this store to the app."
        )
    if isinstance(env, str) and ("=" in env or "{" in env):
        raise PlanError(
            f'{source}: [{path}] env: found "=" or "{{" in a variable\'s name; allowed: a name such as DATABASE_URL, '
            'or a table of names and what each gets: { DB_HOST = "{host}" }.'
        )
    for variable, template in env.items() if isinstance(env, dict) else ():
        found = addresses.unknown(template, kind)
        if found:
            allowed = ", ".join("{" + each + "}" for each in addresses.placeholders_of(kind))
            raise PlanError(
                f"{source}: [{path}] env: {word(variable)}: found {shown(found)}; allowed: {allowed}, and any other "
                "text with { written as {{.",
                hint=f'{word(variable)} = "{{url}}"',
            )
    return env


def _check_url(url: str | None, source: str, path: str) -> None:
    if not url:
        raise PlanError(f'{source}: [{path}] url is missing; your own store\'s URL is needed with kind = "url".')
    try:
        parts = urlsplit(url)
        there = bool(parts.scheme and parts.hostname and (parts.port or parts.scheme))
    except ValueError:
        there = False
    if not there:
        raise PlanError(
            f"{source}: [{path}] url: found no URL with a scheme and a host; allowed: one such as "
            "postgres://user:password@127.0.0.1:5432/shop."
        )


def _check_at(at: str, kind: str, values: dict[str, Any], source: str, path: str) -> None:
    """What is said of the URL never shows it: it holds a password."""
    try:
        found = addresses.address_of(at)
    except ValueError:
        wrong: tuple[str, str] | None = ("no URL", f"one such as {EXAMPLES[kind]}")
    else:
        wrong = _wrong_place(found, kind) or _wrong_login(found, kind)
    if wrong:
        raise PlanError(
            f"{source}: [{path}] at: found {wrong[0]}; allowed: {wrong[1]}.",
            hint=f'at = "{EXAMPLES[kind]}" under [{path}]',
        )
    if kind in {"valkey", "redis"}:
        values["databases"] = max(values["databases"], int(found.name or 0) + 1)


def _wrong_place(found: addresses.Address, kind: str) -> tuple[str, str] | None:
    """(found, allowed) where no store of ours can be; None where one can."""
    scheme = found.scheme.partition("+")[0]
    if scheme in {"rediss", "valkeys"}:
        return f"a URL of {scheme}", "redis, since a store of prony's speaks no TLS"
    if scheme not in addresses.SCHEMES[kind]:
        return f"a URL of {word(scheme) or 'no scheme'}", f"for {kind} {', '.join(addresses.SCHEMES[kind])}"
    if not found.host or not all(each.isalnum() or each in "._-" for each in found.host):
        return "no host that has a name", "localhost, 127.0.0.1, or a name such as db"
    if found.host.replace(".", "").isdigit() and not found.host.startswith("127."):
        return f"the address {found.host}", "a name, or an address of loopback (127.0.0.1)"
    if not 1024 <= found.port <= 65_535:
        return f"the port {found.port}", "1024 to 65535"
    return None


def _wrong_login(found: addresses.Address, kind: str) -> tuple[str, str] | None:
    """(found, allowed) where the user, password or database can be none there; None where they can."""
    if kind in {"valkey", "redis"}:
        if found.name and not (found.name.isdecimal() and len(found.name) <= 3):
            return f"the database {word(found.name)}", "a number from 0 to 999, or none"
    elif kind != "memcached" and (not found.user or not found.name or "/" in found.name):
        return "no user and database", "a URL that names both"
    if found.name in _TAKEN.get(kind, ()) or found.user in _ROLES.get(kind, ()):
        return "a database or user that the server needs for itself", "another name"
    if any(ord(each) < 32 for each in found.user + (found.password or "") + found.name):
        return "a control character", "text"
    return None


def _check_file(file: str, source: str, path: str) -> None:
    place = os.path.normpath(file)
    if os.path.isabs(place) or place.split("/")[0] in {"..", ".", ".prony", ""}:  # noqa: PTH117 - a text of a plan
        raise PlanError(
            f"{source}: [{path}] file: found {shown(file)}; allowed: a file in the app's folder, such as db.sqlite3 or "
            "instance/app.db.",
            hint="a file elsewhere is not covered, and so not used: let the app's settings name one in its folder",
        )


def _dump(dump: str, folder: Path, source: str, path: str) -> str:
    if not dump:
        return ""
    place = folder.absolute() / os.path.expanduser(dump)  # noqa: PTH111 - Path's own raises on an unknown user
    if not os.path.exists(place):  # noqa: PTH110 - Path's own raises on a name too long
        raise PlanError(
            f"{source}: [{path}] dump: found {shown(dump)}; no such file is there.",
            hint=f"make it: pg_dump -Fc --no-owner YOUR_DATABASE > {word(dump)}",
        )
    return str(place)


def check_addresses(found: Mapping[str, Store], source: str) -> None:
    """Two stores of ours cannot answer at one address.

    Raises:
        PlanError: they should.
    """
    taken: dict[tuple[str, int], str] = {}
    for store in found.values():
        if store.address is None:
            continue
        host = "127.0.0.1" if store.address.host == "localhost" else store.address.host
        other = taken.setdefault((host, store.address.port), store.name)
        if other != store.name:
            raise PlanError(
                f"{source}: [stores.{store.name}] at: found {store.address.host}:{store.address.port}, where "
                f"[stores.{other}] answers; allowed: one store at an address.",
                hint=f"take [stores.{store.name}] out, where both are one server to the app",
            )
