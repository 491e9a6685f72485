"""`prony up` and `prony change`: the stack brought up and kept up, its addresses, logs and refusals shown."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

import prony
from prony.cli import options, output
from prony.errors import PlanError, StackError
from prony.plan import Plan
from prony.plan.changes import live_change
from prony.plan.read import parse_sets
from prony.stack.processes import Processes, procfile_of
from prony.stack.services.relay import InwardRelay
from prony.stack.stack import Stack
from prony.stack.tail import Tail

LOOK_S = 0.2
TELL_REFUSED_S = 2.0
PORT = 8000
COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
SOCKET = "up.sock"
ORDER_BYTES_MAX = 64 * 1024


@click.command()
@options.several(
    options.project,
    click.option(
        "--port",
        type=click.IntRange(1, 65535),
        help=f"Where to reach it on this machine; default: {PORT}, or a free one.",
    ),
    click.option(
        "--procfile",
        is_flag=True,
        help="Run the lines of the folder's Procfile as they are, though it has a prony.toml.",
    ),
    options.sets,
    options.no_namespace,
    options.debug,
)
def up(
    *,
    project: Path,
    port: int | None,
    procfile: bool,
    sets: tuple[str, ...],
    no_namespace: bool,
    debug: bool,  # noqa: ARG001 - main() looks for it
) -> None:
    """Brings the stack up and keeps it up, until Ctrl-C: addresses, logs, and what the app was refused.

    A folder without a prony.toml but with a Procfile has its lines run as they are, contained all the same.

    \b
    Example:  prony up
              prony up --port 8080 --set link.database.round_trip=20ms
              prony up --procfile
    """
    folder = project.parent if project.is_file() else project
    own = options.project_folder(project)
    console = Console(highlight=False, soft_wrap=True)
    if procfile or (own is None and (folder / "Procfile").exists()):
        if sets:
            raise click.UsageError("found --set for a Procfile; allowed: with a prony.toml.")
        _up_procfile(folder.absolute(), port, console, namespace=not no_namespace)
        return

    def say(text: str) -> None:
        console.print(text, style="dim", markup=False)

    plan = options.plan_of(project, sets, say)
    place = options.own_place(own)
    logs = place / "logs" / "up"
    say(f"Starting {plan.title} …")
    with Stack(logs, namespace=not no_namespace, own_folder=place, say=say) as stack:
        start = stack.boot(plan)
        with contextlib.ExitStack() as ways:
            _show_addresses(console, stack, plan, ways, port)
            for name, checked in start.checked.items():
                where = ", its server from an overlay" if checked.overlay else ""
                say(f"{name}: Python {checked.python}, {checked.interface}{where}")
            orders = ways.enter_context(_Orders(place / SOCKET))
            _stream(console, stack, orders)


def _show_addresses(console: Console, stack: Stack, plan: Plan, ways: contextlib.ExitStack, port: int | None) -> None:
    """Opens a way in from this machine to the entrance and to each store, and prints where they are."""
    start = stack.start
    if start is None:
        raise StackError("The stack is down.")
    web = _open(stack, start.port, port, PORT)
    ways.callback(web.close)
    console.print(Text.assemble("  ", ("app", "bold"), f"  http://127.0.0.1:{web.port}/"))
    if stack.proxy is not None and stack.proxy.tls_port:
        tls = InwardRelay(stack.launcher, stack.proxy.tls_port)
        ways.callback(tls.close)
        console.print(Text.assemble("  ", ("app", "bold"), f"  https://127.0.0.1:{tls.port}/ (self-signed)"))
    urls = stack.stores.environment(plan)
    for name, (_, inside) in stack.stores.addresses().items():
        way = InwardRelay(stack.launcher, inside)
        ways.callback(way.close)
        url = urls[plan.stores[name].env].replace(f"127.0.0.1:{inside}", f"127.0.0.1:{way.port}")
        console.print(Text.assemble("  ", (name, "bold"), f"  {url}"))
    for name, service in stack.services.items():
        way = InwardRelay(stack.launcher, service.port)
        ways.callback(way.close)
        console.print(Text.assemble("  ", (name, "bold"), f"  http://127.0.0.1:{way.port}/"))
    changeable = sorted(stack.changeable())
    if changeable:
        console.print(f"  changeable while it runs: {', '.join(changeable)} (prony change NAME.KEY=VALUE)", style="dim")
    if not stack.launcher.namespace:
        why = stack.launcher.why_no_namespace
        console.print(
            f"Contained by the audit hook alone, which sees Python's own calls and no more: {why}.", style="yellow"
        )
    console.print("Ctrl-C stops everything.\n", style="dim")


def _open(stack: Stack, inside: int, asked: int | None, preferred: int) -> InwardRelay:
    """A way in at the port that was asked for, or else at the usual one, or else at any."""
    if asked is not None:
        return InwardRelay(stack.launcher, inside, listen_port=asked)
    with contextlib.suppress(PlanError):
        return InwardRelay(stack.launcher, inside, listen_port=preferred)
    return InwardRelay(stack.launcher, inside)


def _stream(console: Console, stack: Stack | Processes, orders: _Orders | None) -> None:
    """Prints logs, refusals and deaths as they come; returns when the main thing has ended."""
    tail = Tail()
    told: dict[str, int] = {}
    dead: set[int] = set()
    colours: dict[str, str] = {}
    looks = 0
    while True:
        for tier, processes in stack.watched():
            for process in processes:
                tail.follow(tier, process.log)
        for tier, line in tail.lines():
            colour = colours.setdefault(tier, COLOURS[len(colours) % len(COLOURS)])
            console.print(Text.assemble((f"{tier:>10} │ ", colour), line))
        for tier, process, how in stack.dead():
            if process.pid not in dead:
                dead.add(process.pid)
                console.print(Text(f"{tier}: {process.name} ended ({how}).", style="bold red"))
        if looks % round(TELL_REFUSED_S / LOOK_S) == 0:
            _tell_refused(console, stack.refused(), told)
        if orders is not None:
            orders.serve(stack)  # type: ignore[arg-type] # there are orders for a Stack only
        if not stack.alive():
            raise StackError("The app has ended; the stack is stopped with it.")
        looks += 1
        stack.launcher.wait_until(lambda: False, LOOK_S)


def _tell_refused(console: Console, refused: Mapping[str, int], told: dict[str, int]) -> None:
    """Says what the app was kept from since the last look."""
    for text, count in refused.items():
        new = count - told.get(text, 0)
        if new > 0:
            told[text] = count
            host, _, where = text.partition(" at ")
            line = f"refused: {host}, {count} ×" + (f", from {where}" if where else "")
            console.print(Text(f"{line} (name it under [app] egress to allow it)", style="yellow"))


class _Orders:
    """The Unix socket by which `prony change` reaches the stack that is up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> _Orders:  # noqa: PYI034 - final by intent
        if _answers(self._path):
            raise PlanError(
                "prony up is running in this project already.", hint="stop that one, or copy the project for another"
            )
        self._path.unlink(missing_ok=True)
        self._listening.bind(_short(self._path))
        self._path.chmod(0o600)
        self._listening.listen(8)
        self._listening.setblocking(False)
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self._path.unlink(missing_ok=True)

    def serve(self, stack: Stack) -> None:
        """Carries out what has been ordered."""
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listening.accept()
                with connection, contextlib.suppress(OSError, ValueError):
                    connection.settimeout(1.0)
                    order = json.loads(connection.recv(ORDER_BYTES_MAX))
                    connection.sendall(json.dumps(_carry_out(stack, order)).encode())


def _carry_out(stack: Stack, order: Mapping[str, Any]) -> dict[str, Any]:
    try:
        for name, values in order.items():
            stack.change(name, values)
    except (PlanError, StackError) as error:
        return {"error": error.paragraph()}
    return {"changed": sorted(order)}


def _short(path: Path) -> str:
    """A Unix socket's name may have 107 bytes: a longer one is reached from the folder it is in."""
    if len(os.fsencode(path)) < 100:
        return str(path)
    return os.path.relpath(path)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        try:
            other.connect(_short(path))
        except OSError:
            return False
    return True


@click.command()
@click.argument("changes", nargs=-1, required=True, metavar="NAME=VALUE...")
@options.several(options.project, options.as_json, options.debug)
def change(*, changes: tuple[str, ...], project: Path, as_json: bool, debug: bool) -> None:  # noqa: ARG001 - the same
    """Changes a link or a slow service of the stack that `prony up` keeps up in this project, while it runs.

    \b
    Example:  prony change services.feed.latency=2s services.feed.errors=10%
              prony change link.database.frozen=true
    """
    order: dict[str, dict[str, Any]] = {}
    for name, value in parse_sets(changes).items():
        target, key, read = live_change(name, value)
        order.setdefault(target, {})[key] = read
    path = options.own_place(options.project_folder(project)) / SOCKET
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(_short(path))
        except OSError as error:
            raise PlanError(f"No prony up is running in {project.absolute()}.", hint="prony up") from error
        connection.settimeout(10.0)
        connection.sendall(json.dumps(order).encode())
        answer = json.loads(connection.recv(ORDER_BYTES_MAX) or b"{}")
    if "error" in answer:
        raise PlanError(answer["error"])
    click.echo(f"changed: {', '.join(changes)}", err=True)
    if as_json:
        output.print_json({"prony": prony.__version__, "verb": "change", "changed": order})


def _up_procfile(folder: Path, port: int | None, console: Console, *, namespace: bool) -> None:
    """The lines of a Procfile as they stand, each with a PORT of its own, as honcho gives it."""
    place = options.own_place(None)
    with Processes(place / "logs" / "up", folder, namespace=namespace) as processes:
        processes.start(procfile_of(folder))
        with contextlib.ExitStack() as ways:
            for number, (name, inside) in enumerate(processes.ports.items()):
                way = InwardRelay(processes.launcher, inside, listen_port=(port + number if port is not None else 0))
                ways.callback(way.close)
                console.print(Text.assemble("  ", (name, "bold"), f"  http://127.0.0.1:{way.port}/ (PORT={inside})"))
            console.print("Ctrl-C stops everything.\n", style="dim")
            _stream(console, processes, None)
