"""The tables that describe a stack in, its tiers as frozen data out: servers, stores, proxy, workers, links, boxes."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import convert, structs

from prony.errors import PlanError
from prony.knobs import link, outside, pooler, proxy, server
from prony.knobs.sizes import size as named_size
from prony.knobs.values import NotAllowedError
from prony.plan import keys
from prony.plan.checks import named_tables, only_known, shown, table_of, values_of
from prony.plan.keys import Key
from prony.plan.model import Box, Link, Outside, Pooler, Proxy, Route, Server, Store, Worker
from prony.plan.procfile import read_procfile
from prony.plan.stores import check_addresses, read_store

ROUTES_MAX = 200
ALWAYS = ("app", "proxy", "pooler")  # tiers that bear these names in every plan


def read(document: Mapping[str, Any], source: str, folder: Path) -> dict[str, Any]:
    """A Plan's fields that describe its stack, by name.

    Raises:
        PlanError: one paragraph on the first thing that is wrong.
    """
    main = _server(table_of(document, "server", source), "app", source)
    stores = named_tables(document, "stores", source)
    others = tuple(_server(table, name, source) for name, table in named_tables(document, "servers", source).items())
    found: dict[str, Any] = {
        "server": main,
        "others": others,
        "stores": {name: read_store(table, name, source, folder) for name, table in stores.items()},
        "pooler": _pooler(document, source),
        "proxy": _proxy(document, source, {"app", *(other.name for other in others)}),
        "workers": tuple(
            _worker(table, name, source, folder) for name, table in named_tables(document, "workers", source).items()
        ),
        "services": tuple(
            _outside(table, name, source) for name, table in named_tables(document, "services", source).items()
        ),
    }
    names = _names(found, source)
    linked = names - {worker.name for worker in found["workers"]}
    found["links"] = _links(document, source, linked, found["stores"])
    found["boxes"] = _boxes(document, source, names)
    _managed(found, table_of(table_of(document, "stores", source), "database", source))
    _fits(found, source)
    return found


def _fits(found: dict[str, Any], source: str) -> None:
    """What no table can tell by itself."""
    variables: dict[str, str] = {}
    for group, tiers in (("stores", found["stores"].values()), ("services", found["services"])):
        for each in tiers:
            names = each.variables if isinstance(each, Store) else (each.env,)
            for name in names:
                other = variables.setdefault(name, f"{group}.{each.name}")
                if other == f"{group}.{each.name}":
                    continue
                raise PlanError(
                    f"{source}: [{group}.{each.name}] env: found {name}, which hands [{other}] to the app; "
                    "allowed: a variable of its own.",
                    hint=f'write env = "{each.name.upper().replace("-", "_")}_URL" under [{group}.{each.name}]',
                )
    check_addresses(found["stores"], source)
    if found["proxy"] is None:
        for each in (found["server"], *found["others"]):
            if each.instances > 1 or each.name != "app":
                what = f"[server] instances: found {each.instances}"
                what = what if each.name == "app" else f"[servers.{each.name}]: found a further app server"
                raise PlanError(
                    f"{source}: {what}, and no [proxy] to stand before it; allowed: with a [proxy] table.",
                    hint=f'write [proxy] and kind = "nginx" into {source}',
                )
    database = found["stores"].get("database")
    if found["pooler"] is not None and (database is None or database.kind != "postgres"):
        raise PlanError(
            f"{source}: [pooler]: found PgBouncer without a Postgres behind it; allowed: with [stores.database] "
            'kind = "postgres".'
        )


def _managed(found: dict[str, Any], written: Mapping[str, Any]) -> None:
    """A managed database's size brings its round trip and its connections, where the plan does not say others."""
    database = found["stores"].get("database")
    for box in found["boxes"]:
        size = named_size(box.size) if box.size else None
        if size is None or not size.database or "database" not in box.services or database is None:
            continue
        if size.max_connections and "max_connections" in database.knobs and "max_connections" not in written:
            knobs = database.knobs | {"max_connections": size.max_connections}
            found["stores"]["database"] = structs.replace(database, knobs=knobs)
        linked = "round_trip" in written or any(each.name == "database" for each in found["links"])
        if not linked and database.kind != "sqlite":
            found["links"] = (*found["links"], Link(name="database", round_trip_s=(size.round_trip_ms or 0) / 1000))


def _names(found: dict[str, Any], source: str) -> set[str]:
    """The names of all tiers; each may be borne once, and those in ALWAYS by nothing else even where they are not."""
    names = [each.name for group in ("others", "workers", "services") for each in found[group]]
    names += [*found["stores"], *ALWAYS]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise PlanError(f"{source}: found two tiers called {twice[0]}; allowed: each name once.", hint=f"edit {source}")
    return set(names) - {name for name in ("proxy", "pooler") if found[name] is None}


def _server(table: dict[str, Any], name: str, source: str) -> Server:
    path = "server" if name == "app" else f"servers.{name}"
    kind_key = Key("kind", "choice", "gunicorn", keys.SERVER_KINDS_WHY, choices=server.KINDS)
    kind = values_of(table, (kind_key,), source, path)["kind"]
    classes = server.worker_classes(kind)
    worker_class = ""
    own: tuple[Key, ...] = (kind_key, keys.INSTANCES)
    if name != "app":
        own = (*own, keys.SERVER_ENTRY)
    if classes:
        class_key = Key("worker_class", "choice", classes[0], "How a worker serves requests.", choices=classes)
        worker_class = values_of(table, (class_key,), source, path)["worker_class"]
        own = (*own, class_key)
    knobs = server.KNOBS[kind, worker_class]
    elsewhere = {knob.key for other in server.KNOBS.values() for knob in other}
    for key in table:
        if key in elsewhere and key not in {knob.key for knob in knobs}:
            what = f"{kind} {worker_class}".strip()
            raise PlanError(
                f"{source}: [{path}] {key}: {what} has no such knob; allowed: {', '.join(knob.key for knob in knobs)}."
            )
    only_known(table, [*(key.name for key in own), *(knob.key for knob in knobs)], source, path)
    plain = values_of(table, own, source, path)
    values = values_of(table, knobs, source, path)
    return Server(
        name=name,
        kind=kind,
        worker_class=worker_class,
        entry=plain.get("entry", ""),
        instances=plain["instances"],
        knobs=values,
    )


def _pooler(document: Mapping[str, Any], source: str) -> Pooler | None:
    if "pooler" not in document:
        return None
    table = table_of(document, "pooler", source)
    only_known(table, ["kind", *(knob.key for knob in pooler.POOLER)], source, "pooler")
    kind = values_of(table, (keys.POOLER_KIND,), source, "pooler")["kind"]
    return Pooler(kind=kind, knobs=values_of(table, pooler.POOLER, source, "pooler"))


def _proxy(document: Mapping[str, Any], source: str, upstreams: set[str]) -> Proxy | None:
    if "proxy" not in document:
        return None
    table = dict(table_of(document, "proxy", source))
    routes = table.pop("route", [])
    only_known(table, [*(k.name for k in keys.PROXY), *(k.key for k in proxy.PROXY)], source, "proxy")
    if not isinstance(routes, list) or not all(isinstance(route, dict) for route in routes):
        raise PlanError(f"{source}: [proxy] route: found {shown(routes)}; allowed: tables [[proxy.route]].")
    if len(routes) > ROUTES_MAX:
        raise PlanError(f"{source}: [[proxy.route]]: found {len(routes)}; allowed: at most {ROUTES_MAX}.")
    first = values_of(table, keys.PROXY, source, "proxy")
    preset = proxy.PRESETS.get(first["preset"], {})
    plain = values_of(table, keys.PROXY, source, "proxy", preset)
    for prefix in plain["static"]:
        _check_path(prefix, source, "proxy.static")
    found = tuple(_route(route, source, upstreams) for route in routes)
    paths = [*(route.path for route in found), *plain["static"]]
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        where = "[proxy.static] and [[proxy.route]]" if twice[0] in plain["static"] else "[[proxy.route]] path"
        raise PlanError(f"{source}: {where}: found {twice[0]} twice; allowed: each path once.")
    return Proxy(
        kind=plain["kind"],
        preset=plain["preset"],
        balancing=plain["balancing"],
        tls=plain["tls"],
        static=plain["static"],
        routes=found,
        knobs=values_of(table, proxy.PROXY, source, "proxy", preset),
    )


def _route(table: dict[str, Any], source: str, upstreams: set[str]) -> Route:
    path = "proxy.route"
    only_known(table, (key.name for key in keys.ROUTE), source, path)
    values = values_of(table, keys.ROUTE, source, path)
    _check_path(values["path"], source, path)
    if values["to"] not in upstreams:
        raise PlanError(
            f"{source}: [[{path}]] to: found {shown(values['to'])}; allowed: {', '.join(sorted(upstreams))}.",
            hint=f"add [servers.{values['to']}] to {source}" if values["to"].isidentifier() else f"edit {source}",
        )
    return Route(path=values["path"], to=values["to"], cache_s=values["cache"], buffering=values["buffering"])


def _check_path(path: str, source: str, table: str) -> None:
    if not path.startswith("/") or any(c <= " " or ord(c) > 126 or c in '"{};$\\' for c in path):
        raise PlanError(
            f"{source}: [{table}]: found the path {shown(path)}; allowed: one that begins with / and holds no spaces, "
            "quotes or any of {};$\\."
        )


def _worker(table: dict[str, Any], name: str, source: str, folder: Path) -> Worker:
    path = f"workers.{name}"
    only_known(table, (key.name for key in keys.WORKER), source, path)
    values = values_of(table, keys.WORKER, source, path)
    if bool(values["command"]) == bool(values["process"]):
        raise PlanError(
            f"{source}: [{path}]: found {'both' if values['command'] else 'neither'} of command and process; allowed: "
            "command (what to run) or process (a name in the project's Procfile)."
        )
    command = values["command"]
    if values["process"]:
        lines = read_procfile(folder / "Procfile")
        if values["process"] not in lines:
            raise PlanError(
                f"{source}: [{path}] process: found {shown(values['process'])}; allowed: {', '.join(lines)}."
            )
        command = lines[values["process"]]
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise PlanError(f"{source}: [{path}]: found {shown(command)}; allowed: a command that a shell could split.")
    return Worker(name=name, command=command, instances=values["instances"])


def _outside(table: dict[str, Any], name: str, source: str) -> Outside:
    path = f"services.{name}"
    only_known(table, ["env", *(knob.key for knob in outside.OUTSIDE)], source, path)
    env = values_of(table, (keys.OUTSIDE_ENV,), source, path)["env"]
    return Outside(name=name, env=env, knobs=values_of(table, outside.OUTSIDE, source, path))


def _links(
    document: Mapping[str, Any], source: str, names: set[str], found_stores: dict[str, Store]
) -> tuple[Link, ...]:
    """The [link.NAME] tables, and a link for each store that asks for a round trip in its own."""
    found = {}
    for name, table in named_tables(document, "link", source).items():
        path = f"link.{name}"
        _check_tier(name, names, source, path)
        if name in found_stores and found_stores[name].kind == "sqlite":
            raise PlanError(
                f"{source}: [{path}]: found a SQLite file, which is reached by no network; allowed: before a store "
                "that listens."
            )
        only_known(table, (knob.key for knob in link.LINK), source, path)
        values = values_of(table, link.LINK, source, path)
        found[name] = convert(
            {
                "name": name,
                "round_trip_s": values["round_trip"],
                "bandwidth_bps": values["bandwidth"],
                "drop": values["drop"],
                "frozen": values["frozen"],
            },
            Link,
        )
    for store in found_stores.values():
        if store.round_trip_s and store.name in found:
            raise PlanError(
                f"{source}: [stores.{store.name}] round_trip and [link.{store.name}]: found both; allowed: one.",
                hint=f"write round_trip into [link.{store.name}] alone",
            )
        if store.round_trip_s:
            found[store.name] = Link(name=store.name, round_trip_s=store.round_trip_s)
    return tuple(found.values())


def _check_tier(name: str, names: set[str], source: str, path: str) -> None:
    if name not in names:
        raise PlanError(
            f"{source}: [{path}]: found {shown(name)}, no tier of this plan; allowed: {', '.join(sorted(names))}."
        )


def _boxes(document: Mapping[str, Any], source: str, names: set[str]) -> tuple[Box, ...]:
    found = []
    taken: dict[str, str] = {}
    for name, table in named_tables(document, "box", source).items():
        path = f"box.{name}"
        only_known(table, (key.name for key in keys.BOX), source, path)
        values = values_of(table, keys.BOX, source, path)
        services = values["services"] or (name,)
        for service in services:
            _check_tier(service, names, source, f"{path}] services = [{service}" if values["services"] else path)
            if service in taken:
                raise PlanError(
                    f"{source}: [{path}]: found {service}, which [box.{taken[service]}] holds; allowed: one box a tier."
                )
            taken[service] = name
        found.append(_box(name, tuple(services), table, values, source))
    return tuple(found)


def _box(name: str, services: tuple[str, ...], table: dict[str, Any], values: dict[str, Any], source: str) -> Box:
    cpus, memory, period_s = values["cpus"], values["memory"], values["period"]
    if values["size"]:
        try:
            size = named_size(values["size"])
        except NotAllowedError as error:
            raise PlanError(
                f"{source}: [box.{name}] size: found {shown(values['size'])}; allowed: {error}.",
                hint='or say cpus = 0.5 and memory = "512M"',
            ) from None
        cpus = size.cpus if cpus is None else cpus
        memory = size.memory_bytes if memory is None else memory
        period_s = period_s if "period" in table else size.period_s
    if cpus is None and memory is None:
        raise PlanError(
            f"{source}: [box.{name}]: found no limit; allowed: size, or cpus, memory, or both.",
            hint=f'size = "droplet-512mb" under [box.{name}]',
        )
    return Box(name=name, services=services, size=values["size"], cpus=cpus, memory_bytes=memory, period_s=period_s)
