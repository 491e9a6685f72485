"""`prony up`: the stack, or a Procfile's lines, brought up and kept up; addresses, logs, refusals and deaths shown."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from prony.cli import options
from prony.cli.change import Orders
from prony.errors import PlanError, StackError
from prony.plan import Plan, refusals
from prony.plan.addresses import PORTS
from prony.plan.checks import without_password
from prony.stack.launch import Launcher, Process
from prony.stack.processes import Processes, procfile_of
from prony.stack.services.own import shown_url
from prony.stack.services.relay import InwardRelay, check_port
from prony.stack.stack import Stack, Start
from prony.stack.tail import Tail

LOOK_S = 0.2
SLOW_LOOK_S = 1.0
PORT = 8000
PUBLISHED_MAX = 64
COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
SIGNAL_EXIT = 128

Say = Callable[[str], None]


@click.command()
@options.several(
    options.project,
    click.option(
        "--port",
        type=click.IntRange(1, 65535),
        help=f"Where to reach it on this machine; default: {PORT}, or a free one. With a Procfile: the first PORT.",
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

    A folder without a prony.toml but with a Procfile has its lines run as they are, contained all the same: each with
    a PORT and the folder's .env, until one of them ends, whose exit code is then prony's. Whatever they listen on is
    led to from this machine, at the same port where that is free. A line named release is run first, to its end.

    \b
    Example:  prony up
              prony up --port 8080 --set link.database.round_trip=20ms
              prony up --procfile
    """
    folder = project.parent if project.is_file() else project
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    by_lines = procfile or (options.project_folder(project) is None and (folder / "Procfile").exists())
    if by_lines and sets:
        raise click.UsageError("found --set for a Procfile; allowed: with a prony.toml.")
    if port is not None:
        check_port(port)
    code = 130
    try:
        if by_lines:
            code = _up_procfile(folder.absolute(), port, console, namespace=not no_namespace)
        else:
            _up_plan(project, sets, port, console, namespace=not no_namespace)
    except KeyboardInterrupt:
        console.print("Stopped: nothing that was started is left.", style="dim")
    click.get_current_context().exit(code)


# ---- a plan


def _up_plan(project: Path, sets: tuple[str, ...], port: int | None, console: Console, *, namespace: bool) -> None:
    say = _teller(console)
    with contextlib.ExitStack() as open_:
        began = time.monotonic()
        with _starting(console) as tell:
            plan = options.written_plan(project, sets, tell)
            place = options.own_place(options.project_folder(project))
            orders = open_.enter_context(Orders(place))
            logs = place / "logs" / "up"
            for old in logs.glob("*.log"):  # of an earlier up: the last words of one that failed stay until now
                old.unlink()
            tell(f"Starting {plan.title} …")
            stack = open_.enter_context(Stack(logs, namespace=namespace, own_folder=place, say=tell))
            start = stack.boot(plan)
        rows = list(_addresses(stack, start, open_, port))
        _show(console, rows)
        changeable = sorted(stack.changeable())
        if changeable:
            say(f"To change while it runs: {', '.join(changeable)} (prony change NAME.KEY=VALUE)")
        for remark in stack.remarks:
            console.print(Text(f"{remark.text[:1].upper()}{remark.text[1:]}.", style="yellow"))
        _say_contained(console, stack.launcher)
        inside = "; ports in the logs below are the stack's own" if stack.launcher.namespace else ""
        say(f"Up after {time.monotonic() - began:.1f} s{inside}. Ctrl-C stops everything.\n")
        with _interruptible(console):
            _stream(console, stack, lambda: orders.serve(stack, say))
        raise StackError(
            f"No app server is left ({_how(stack.dead())}); the stack is stopped with it.",
            hint=f"the log above, or in {logs}",
        )


def _addresses(
    stack: Stack, start: Start, ways: contextlib.ExitStack, port: int | None
) -> Iterator[tuple[str, str, str]]:
    """(name, address, what it is) of all that can be reached; ways in from this machine are opened on the go."""
    plan, launcher = start.plan, stack.launcher
    web = _open(ways, launcher, start.port, asked=port, preferred=PORT)
    taken = "" if web == (port or PORT) else f"; {PORT} is taken"
    yield "app", f"http://127.0.0.1:{web}/", _what(plan, start) + taken
    if stack.proxy is not None and stack.proxy.tls_port:
        tls = _open(ways, launcher, stack.proxy.tls_port)
        yield "app", f"https://127.0.0.1:{tls}/", "the same, with a certificate signed by itself"
    for each in start.instances:
        if each.server.name != "app" and each is next(i for i in start.instances if i.server is each.server):
            outer = _open(ways, launcher, each.reached)
            what = f"{each.server.title}{_interpreter(start, each.server.name)}, past the proxy"
            yield each.server.name, f"http://127.0.0.1:{outer}/", what
    urls = stack.stores.urls()
    for name, (kind, inside) in stack.stores.addresses().items():
        url, what = urls[name], start.versions.get(name, kind)
        if kind == "url":  # the user's own is where it was, and its password not ours to show
            url = shown_url(plan.stores[name].url)
        else:
            url = url.replace(f"127.0.0.1:{inside}", f"127.0.0.1:{_open(ways, launcher, inside)}")
            if plan.stores[name].at:  # its password is the one that the user's own settings hold
                url = without_password(url)
        pooled = f" behind {start.versions['pooler']}" if name == "database" and "pooler" in start.versions else ""
        yield name, url, what + pooled
    for name, service in stack.services.items():
        yield name, f"http://127.0.0.1:{_open(ways, launcher, service.port)}/", "the slow outside service"


def _what(plan: Plan, start: Start) -> str:
    own = f"{plan.server.title}{_interpreter(start, 'app')}"
    return f"{start.versions['proxy']} before {own}" if "proxy" in start.versions else own


def _interpreter(start: Start, name: str) -> str:
    checked = start.checked[name]
    return f", Python {checked.python}, {checked.interface}" + (", from an overlay" if checked.overlay else "")


# ---- a Procfile


def _up_procfile(folder: Path, port: int | None, console: Console, *, namespace: bool) -> int:
    """The lines of a Procfile as they stand, as honcho runs them; the exit code of the one that ended."""
    say = _teller(console)
    lines = procfile_of(folder)
    with contextlib.ExitStack() as open_:
        with _starting(console) as tell:
            python = options.python_of(folder, tell)
            processes = open_.enter_context(Processes(folder, python, namespace=namespace, say=tell))
            tell(f"Starting {', '.join(lines)} …")
            processes.start(lines, port)
        _say_contained(console, processes.launcher)
        say("Addresses follow as they open. Ctrl-C stops everything.\n")
        published: set[int] = set()

        def publish() -> None:
            rows = []
            for inside, name in processes.new_ports().items():
                if inside in published or len(published) >= PUBLISHED_MAX:
                    continue
                published.add(inside)
                outer = inside
                if processes.launcher.namespace:
                    outer = _open(open_, processes.launcher, inside, preferred=inside)
                what = "" if outer == inside else f"{inside} where it runs, which is taken on this machine"
                scheme, end = ("", "") if inside in PORTS.values() else ("http://", "/")
                rows.append((name, f"{scheme}127.0.0.1:{outer}{end}", what))
            _show(console, rows)

        with _interruptible(console):
            _stream(console, processes, publish, "with a prony.toml, ")
        ended = [process for _, process, _ in processes.dead()]
        say("Stopping the others, as honcho does …")
    code = next((each.code for each in ended if each.code), 0)
    return SIGNAL_EXIT - code if code < 0 else code


# ---- both


def _teller(console: Console) -> Say:
    return lambda text: console.print(text, style="dim", markup=False)


@contextlib.contextmanager
def _starting(console: Console) -> Iterator[Say]:
    """Tells what is being done before anything is up: one moving line on a terminal, plain lines elsewhere."""
    if not console.is_terminal:
        yield _teller(console)
        return
    with console.status("Starting …", spinner="dots") as status:

        def tell(text: str) -> None:
            if text.startswith("WARNING"):
                console.print(Text(text, style="bold yellow"))  # to stay
            else:
                status.update(Text(text))

        yield tell


@contextlib.contextmanager
def _interruptible(console: Console) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        console.print("\nStopping …", style="dim")
        raise


def _open(
    ways: contextlib.ExitStack, launcher: Launcher, inside: int, *, asked: int | None = None, preferred: int = 0
) -> int:
    """The port of this machine that now leads to one inside: the one asked for, or the preferred, or else any."""
    if asked is None and preferred:
        with contextlib.suppress(PlanError):
            return ways.enter_context(InwardRelay(launcher, inside, listen_port=preferred)).port
    return ways.enter_context(InwardRelay(launcher, inside, listen_port=asked or 0)).port


def _show(console: Console, rows: list[tuple[str, str, str]]) -> None:
    """Rows of addresses, in columns."""
    names = max((len(name) for name, _, _ in rows), default=0)
    for name, address, what in rows:
        dim = (f"   {what}", "dim") if what else ""
        console.print(Text.assemble("  ", (name.ljust(names), "bold"), f"  {address}", dim))


def _say_contained(console: Console, launcher: Launcher) -> None:
    if not launcher.namespace:
        why = launcher.why_no_namespace
        text = f"Contained by the audit hook alone, which sees Python's own calls and no more: {why}."
        console.print(Text(text, style="yellow"))


def _stream(console: Console, stack: Stack | Processes, each_look: Callable[[], None], how: str = "") -> None:
    """Prints logs, refusals and deaths as they come; returns when what it was all for has ended."""
    shown = _Shown(console, stack)
    slow_at = 0.0
    while True:
        alive = stack.alive()  # asked first: the last words of what has ended are in its log by now
        shown.lines()
        shown.deaths()
        if time.monotonic() >= slow_at:
            slow_at = time.monotonic() + SLOW_LOOK_S
            shown.refusals(stack.refused(), how)
        if not alive:
            shown.refusals(stack.refused(), how)
            return
        each_look()
        stack.launcher.wait_until(lambda: False, LOOK_S)


class _Shown:
    """What has been shown of a stack so far."""

    def __init__(self, console: Console, stack: Stack | Processes) -> None:
        self._console = console
        self._stack = stack
        self._tail = Tail()
        self._told: dict[str, int] = {}
        self._dead: set[int] = set()
        self._colours: dict[str, str] = {}
        self._width = max((len(label) for label, _, _ in _labelled(stack)), default=0)

    def lines(self) -> None:
        """Prints what has been logged since the last call; how stores and the proxy came up is left out."""
        for label, process, whole in _labelled(self._stack):
            self._tail.follow(label, process.log, from_start=whole)
        for label, line in self._tail.lines():
            colour = self._colours.setdefault(label, COLOURS[len(self._colours) % len(COLOURS)])
            text = Text.from_ansi(line.expandtabs())
            self._console.print(Text.assemble((f"{label:>{self._width}} │ ", colour), text))

    def deaths(self) -> None:
        """Says what has ended."""
        for tier, process, how in self._stack.dead():
            if process.pid not in self._dead:
                self._dead.add(process.pid)
                name = "" if process.name == tier else f"{process.name} "
                self._console.print(Text(f"{tier}: {name}ended ({how}).", style="bold red"))

    def refusals(self, refused: Mapping[str, int], how: str) -> None:
        """Says what the app was kept from since the last call."""
        for text, count in refused.items():
            if count > self._told.get(text, 0):
                self._told[text] = count
                each = refusals.read(text)
                line = f"refused: your app {each.tried(count)}: {how}{each.advice}"
                self._console.print(Text(line, style="yellow"))


def _labelled(stack: Stack | Processes) -> Iterator[tuple[str, Process, bool]]:
    """(label, process, whether its start is worth reading) of everything with a log; several of a kind are numbered."""
    servers: dict[int, str] = {}
    workers: set[str] = set()
    if isinstance(stack, Stack) and stack.start is not None:
        servers = {each.process.pid: each.server.name for each in stack.start.instances}
        workers = {worker.name for worker in stack.start.plan.workers}
    for tier, processes in stack.watched():
        names = [servers.get(process.pid, tier) for process in processes]
        for number, (name, process) in enumerate(zip(names, processes, strict=True)):
            nth = names[: number + 1].count(name)
            label = f"{name}.{nth}" if names.count(name) > 1 else name
            yield label, process, isinstance(stack, Processes) or tier == "app" or tier in workers


def _how(dead: Iterator[tuple[str, Process, str]]) -> str:
    return ", ".join(f"{process.name}: {how}" for tier, process, how in dead if tier == "app")
