"""An entry in, what its import shows out: tried in its own interpreter until it works or nothing more helps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

from prony.app.project import addresses, variables

MARK = "prony-needs "
IMPORT_S = 30.0
BUDGET_S = 150.0
ROUNDS_MAX = 30
ONE_BY_ONE_MAX = 10
MARK_ROUNDS = 3
# Errors that no variable mends: of code, of what is not installed, of what is not there to be connected to.
HOPELESS = {"ModuleNotFoundError", "ImportError", "SyntaxError", "IndentationError", "TabError", "NameError"}
_CONNECTION = re.compile(
    r"OperationalError|ConnectionRefused|ConnectionError|InterfaceError|Connection refused|could not connect|gaierror"
    r"|Name or service not known|could not translate host name|is not reachable|ServerSelectionTimeout"
    r"|Temporary failure|Can't connect|Errno 111|Errno 13\b|name resolution|no such host|failed to resolve host",
    re.IGNORECASE,
)
_TABLE = re.compile(r"no such table|relation .* does not exist|UndefinedTable|doesn't exist|ProgrammingError")


class Said(Protocol):
    """What a program said: its exit code (None: killed at the time limit), its output and its errors."""

    @property
    def code(self) -> int | None:
        """Its exit code."""

    @property
    def printed(self) -> str:
        """Its standard output."""

    @property
    def errors(self) -> str:
        """Its standard error."""


Ask = Callable[[list[str], Mapping[str, str], float], Said]


@dataclass(slots=True)
class Outcome:
    """What one import showed.

    Attributes:
        found: The child's own account; empty where it did not come to it.
        hung: The line of their code in which it hung, or "somewhere".
        log: Its last lines, where it ended otherwise.
    """

    found: dict[str, Any] = field(default_factory=dict)
    hung: str = ""
    log: tuple[str, ...] = ()

    @property
    def error(self) -> dict[str, Any]:
        """Why the import failed; empty where it worked."""
        if self.hung:
            return {"type": "Hung", "text": self.hung, "lines": []}
        if not self.found:
            return {"type": "Ended", "text": "the interpreter ended before it had imported the app", "lines": []}
        error: dict[str, Any] = self.found.get("error") or {}
        return error

    @property
    def worked(self) -> bool:
        """Whether the app was imported."""
        return not self.error

    @property
    def reads(self) -> list[dict[str, Any]]:
        """The variables it read."""
        return list(self.found.get("reads") or [])

    @property
    def usable(self) -> bool:
        """Whether the app was imported, or would be beside a store."""
        return self.worked or self.needs_store

    @property
    def needs_store(self) -> bool:
        """Whether the import failed for want of a store that answers, or of tables in it."""
        texts = [self.error, *self.error.get("causes", ())] if self.error else []
        return any(
            _CONNECTION.search(f"{e['type']} {e['text']}") or _TABLE.search(f"{e['type']} {e['text']}") for e in texts
        )


@dataclass(slots=True)
class Tried:
    """What all trials together showed.

    Attributes:
        outcome: The last one with the project's own values.
        invented: Values for variables that must be there, and for what they stand in.
        stood_in: Variables of stores that must be there: what they were set to for the trial.
        marked: The outcome with every store's variable set to something that is known again.
        marks: What was set there, by number: the variable; and its value.
    """

    outcome: Outcome
    invented: dict[str, str] = field(default_factory=dict)
    stood_in: dict[str, str] = field(default_factory=dict)
    marked: Outcome | None = None
    names: dict[int, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether the app was imported, or would be beside a store."""
        return self.outcome.usable


class Trial:
    """Imports an app again and again.

    Args:
        ask: Runs a command, contained, in the project's folder.
        python: The app's interpreter.
        entry: What is imported.
        env: What it gets besides.
        schemes: The schemes of SQL addresses that its drivers take, the likeliest first; none where it has none.
        named: Variables that its code asks for by name, if perhaps only under conditions.
        shown: What the project's files set variables to, as an example or in earnest: a store's address there has the
            scheme that the app takes.
        say: Hears what is being tried.
    """

    def __init__(
        self,
        ask: Ask,
        python: str,
        entry: str,
        env: Mapping[str, str],
        *,
        schemes: tuple[str, ...],
        named: Iterable[str] = (),
        shown: Mapping[str, str] = {},
        say: Callable[[str], None],
    ) -> None:
        self.ask, self.python, self.entry, self.env = ask, python, entry, dict(env)
        self.schemes, self.named, self.shown, self.say = schemes, tuple(named), dict(shown), say
        self._spelled = {name.upper(): name for name in [*shown, *env]}
        self.ends = monotonic() + BUDGET_S

    def once(self, env: Mapping[str, str]) -> Outcome:
        """One import with these variables."""
        order = json.dumps({"entry": self.entry, "limit_s": IMPORT_S})
        said = self.ask([self.python, "-m", "prony_gauge.needs", order], env, IMPORT_S + 30)
        return outcome_of(said)

    def run(self) -> Tried:
        """All of them."""
        self.say(f"importing {self.entry} in the app's interpreter")
        outcome, invented, stood_in = self._until_it_works()
        tried = Tried(outcome, invented, stood_in)
        if outcome.usable:
            self._mark(tried)
        return tried

    def _until_it_works(self) -> tuple[Outcome, dict[str, str], dict[str, str]]:
        invented: dict[str, str] = {}
        stood_in: dict[str, str] = {}
        attempts: dict[str, list[str]] = {}
        outcome = self.once(self.env)
        for _ in range(ROUNDS_MAX):
            if outcome.usable or outcome.error["type"] in HOPELESS or monotonic() > self.ends:
                break
            news = [
                (self._as_written(name), said)
                for name, said in variables.missing(outcome.error, outcome.reads, invented)
                if self._give(self._as_written(name), said, attempts, invented, stood_in)
            ]
            if not news:
                break
            self.say(f"trying again with {', '.join(name for name, _ in news)}")
            outcome = self.once({**self.env, **invented, **stood_in})
        return outcome, invented, stood_in

    def _as_written(self, name: str) -> str:
        """A variable as the project's files spell it: settings classes ask for database_url and take DATABASE_URL."""
        return self._spelled.get(name.upper(), name) if name.islower() else name

    def _give(
        self, name: str, said: str, attempts: dict[str, list[str]], invented: dict[str, str], stood_in: dict[str, str]
    ) -> bool:
        """Another value for a variable; False where there is no further idea, or the value is its author's own."""
        if name in self.env and name not in invented:
            return False
        tried = attempts.setdefault(name, [])
        if addresses.is_store(name) and not tried:
            value: str | None = addresses.sentinel(
                500 + len(stood_in), name, self.shown.get(name), next(iter(self.schemes), "sqlite")
            )
            stood_in[name] = value or ""
        else:
            stood_in.pop(name, None)
            value = variables.invent(name, said, tried)
            if value is not None:
                invented[name] = value
        tried.append(value or "")
        return value is not None

    def _mark(self, tried: Tried) -> None:
        """Sets what may be a store's variable to something known again, all at once, else one by one."""
        defaults = {each["name"]: each["default"] for each in tried.outcome.reads}
        for each in tried.outcome.found.get("pydantic") or []:
            defaults.setdefault(each["name"], None)
        for name, value in self.env.items():
            if name in defaults or tried.outcome.needs_store:
                defaults[name] = value
        asked = [*defaults, *tried.stood_in, *self.named]
        names = [self._as_written(n) for n in asked if addresses.is_store(n, defaults.get(n))]
        names = [n for n in dict.fromkeys(names) if n not in tried.invented]
        if not names:
            return
        base = {**self.env, **tried.invented, **tried.stood_in}
        shown = {name: self.shown[name] for name in names if addresses.parse(self.shown.get(name, ""), "")}
        for known in [{**defaults, **shown}, defaults] if shown else [defaults]:
            for scheme in self.schemes or ("postgres",):
                if self._mark_all(base, names, known, scheme, tried) or monotonic() > self.ends:
                    return
        self._mark_singly(base, tried)

    def _mark_all(
        self, base: dict[str, str], names: list[str], defaults: Mapping[str, str | None], scheme: str, tried: Tried
    ) -> bool:
        """All at once; with those that are asked for only then, as in `if "DB_HOST" in os.environ`."""
        names = list(names)
        for _ in range(MARK_ROUNDS):
            self.say(f"looking where {', '.join(names)} lead{'s' if len(names) == 1 else ''}")
            tried.names = dict(enumerate(names, 1))
            tried.values = {
                name: addresses.sentinel(number, name, defaults.get(name), scheme)
                for number, name in tried.names.items()
            }
            outcome = self.once({**base, **tried.values})
            if outcome.usable:
                tried.marked = outcome
            asked = {each["name"]: each["default"] for each in outcome.reads}
            news = [name for name, default in asked.items() if addresses.is_store(name, default) and name not in names]
            news = [name for name in news if name not in tried.invented and name not in self.env]
            if not news or monotonic() > self.ends:
                break
            names += news
        return tried.marked is not None

    def _usable(self, base: Mapping[str, str], values: Mapping[str, str]) -> Outcome | None:
        outcome = self.once({**base, **values})
        return outcome if outcome.usable else None

    def _mark_singly(self, base: dict[str, str], tried: Tried) -> None:
        """Leaves out the variables that cannot be set so: one after the other is added, and kept if it works."""
        kept: dict[str, str] = {}
        for name in list(tried.values)[:ONE_BY_ONE_MAX]:
            if monotonic() > self.ends:
                break
            outcome = self._usable(base, {**kept, name: tried.values[name]})
            if outcome is not None:
                kept[name] = tried.values[name]
                tried.marked = outcome
        tried.values = kept
        tried.names = {number: name for number, name in tried.names.items() if name in kept}


def outcome_of(said: Said) -> Outcome:
    """What a child said, or how it ended without saying it."""
    line = next((line for line in reversed(said.printed.splitlines()) if line.startswith(MARK)), None)
    if line is not None:
        try:
            found = json.loads(line.removeprefix(MARK))
        except ValueError:
            found = {}
        if isinstance(found, dict):
            return Outcome(found)
    log = tuple(line for line in (said.errors or said.printed).splitlines() if line.strip())[-8:]
    if said.code is None or "Timeout (" in said.errors:
        return Outcome(hung=_hung_in(said.errors), log=log)
    return Outcome(log=log)


def _hung_in(errors: str) -> str:
    """The line of their own code that faulthandler's account of all threads names innermost."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', errors.rpartition("most recent call first")[2] or errors)
    for file, line in frames:
        match = re.search(r"/copy/[^/]+/(.*)$", file)
        if match and "site-packages" not in file:
            return f"{match[1]}, line {line}"
    own = [
        f"{file}, line {line}"
        for file, line in frames
        if not re.search(r"site-packages|/lib/python|prony_gauge|<", file)
    ]
    return own[0] if own else "somewhere"
