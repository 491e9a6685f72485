"""What `prony compare` is to compare in, plans out: folders, changes, git revisions, recordings, or URLs."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from msgspec import structs

from prony.alone.arrival import arrive
from prony.cli import alone, options, output
from prony.errors import PlanError, RecordingError
from prony.plan import Plan, read_file
from prony.plan import alone as planned
from prony.plan import destination as destinations
from prony.plan.checks import without_secret
from prony.plan.restored import restored
from prony.recording import Store
from prony.traffic import learned

NUMBERED = re.compile(r"(run:)?[1-9]\d{0,17}(\.[1-9]\d{0,17})?")
GIT_S = 60


class Side(NamedTuple):
    """One of what is compared; `name` tells it from the others."""

    name: str
    plan: Plan


@contextmanager
def opened(given: dict[str, Any], shown: output.Shown) -> Iterator[list[Side]]:
    """Every side's plan; where one has a destination, all have, and they are not arrived at yet.

    Revisions lie in a folder that goes afterwards.

    Args:
        given: The command line: sides, project, changes, sets, headers, statuses.
        shown: Hears of what is left out of a mix.

    Raises:
        PlanError: one cannot be had, or URLs stand beside what prony starts itself.
        RecordingError: there is no such recording.
    """
    with tempfile.TemporaryDirectory(prefix="prony-compare-") as scratch, _Trees(given["project"], scratch) as trees:
        found = [_side(text, number, given, trees, shown) for number, text in enumerate(given["sides"])]
        if not found:
            plan = options.plan_of(given["project"], given["sets"], shown.say)
            found = [Side(plan.title, plan)]
        for each in given["changes"]:
            plan = options.plan_of(given["project"], (*given["sets"], *each.split(",")), shown.say)
            name = f"with {','.join(without_secret(part) for part in each.split(','))}"  # it is stored, and printed
            same = sum(side.name.partition(" (")[0] == name for side in found)
            found.append(Side(f"{name} ({same + 1})" if same else name, plan))
        _alike(found, given)
        yield found


def _side(text: str, number: int, given: dict[str, Any], trees: _Trees, shown: output.Shown) -> Side:
    if "://" in text:
        with _about(number):
            return _running(text, given, shown)
    if text.startswith("git:"):
        return Side(text, _revision(text.removeprefix("git:"), given, trees, shown))
    if text.startswith("run:") or NUMBERED.fullmatch(text):
        return _recorded(text, given, shown)
    return Side(text, options.plan_of(Path(text), given["sets"], shown.say))


def _alike(found: list[Side], given: dict[str, Any]) -> None:
    """Raises PlanError where some run already and some are to be started, or a flag is about the other kind."""
    running = [each.name for each in found if each.plan.destination is not None]
    started = [each.name for each in found if each.plan.destination is None]
    if running and started:
        raise PlanError(
            f"found {running[0]}, which runs already, beside {started[0]}, which prony starts itself; allowed: URLs "
            "alone, or plans alone, for only starts of prony's own are fresh ones.",
            hint=f"prony up for what is not running yet, then compare its URL with {running[0]}",
        )
    for flag, value in (("--header", given["headers"]), ("--expect-status", given["statuses"])):
        if value and not running:
            raise PlanError(f"found {flag} without a URL; allowed: beside URLs. For a project: prony.toml.")


# ---- what runs already


def arrived(found: list[Side], say: Callable[[str], None]) -> list[Side]:
    """The sides with their destinations at one address each: reached, consented where they must, and listening.

    Raises:
        PlanError: load must not go to one of them, or nobody listens there.
    """
    arrivals = []
    for number, each in enumerate(found):
        with _about(number):
            arrivals.append(Side(each.name, arrive(each.plan, say)))
    return arrivals


@contextmanager
def _about(number: int) -> Iterator[None]:
    """Errors that speak of --url say which side they are about: A, B, and so on."""
    try:
        yield
    except PlanError as error:
        letter = chr(ord("A") + number % 26)
        raise PlanError(error.message.replace("--url: ", f"{letter}: ", 1), hint=error.hint) from error


def _running(url: str, given: dict[str, Any], shown: output.Shown) -> Side:
    plan = alone.plan_of(given | {"urls": (url,)}, shown)
    _, (target,) = destinations.read((url,))
    return Side(f"{plan.title}{target}", plan)


# ---- git


class _Trees:
    """Revisions of a project, checked out below a folder until they are left."""

    def __init__(self, project: Path, scratch: str) -> None:
        self._project = project
        self._scratch = Path(scratch)
        self._trees: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for tree in self._trees:
            self._git("worktree", "remove", "--force", str(tree))

    def folder(self, revision: str) -> Path:
        """The project's folder as it was at a revision."""
        top = Path(self._git("rev-parse", "--show-toplevel"))
        self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        tree = self._scratch / str(len(self._trees))
        self._git("worktree", "add", "--detach", str(tree), revision)
        self._trees.append(tree)
        here = self._project.resolve()
        return tree / (here if here.is_dir() else here.parent).relative_to(top.resolve())

    def _git(self, *words: str) -> str:
        git = shutil.which("git")
        if git is None:
            raise PlanError("git:REVISION needs git, which is not on PATH.", hint="name two folders instead")
        folder = self._project if self._project.is_dir() else self._project.parent
        command = [git, "-C", str(folder), *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=GIT_S)
        except subprocess.TimeoutExpired as error:
            raise PlanError(f"git {words[0]} in {folder}: not done within {GIT_S} s.") from error
        except subprocess.CalledProcessError as error:
            said = error.stderr.strip() or f"there is no {words[-1].removesuffix('^{commit}')}"
            raise PlanError(
                f"git {words[0]} in {folder}: {said}.", hint=f"git -C {folder} log --oneline: which revisions there are"
            ) from error
        return done.stdout.strip()


def _revision(revision: str, given: dict[str, Any], trees: _Trees, shown: output.Shown) -> Plan:
    """A revision's plan, with what no repository holds: the project's interpreter, its pages, its env_file."""
    project = given["project"]
    here = options.written_plan(project, (), shown.say)
    folder = trees.folder(revision)
    sets = [*given["sets"], f"app.python={here.app.python}"]
    kept = Path(here.app.home) / here.app.env_file
    if here.app.env_file and not (folder / here.app.env_file).exists():
        sets.append(f"app.env_file={kept}")
    plan = read_file(folder, sets)
    return learned.apply(plan, learned.load(options.own_place(options.project_folder(project))), shown.say)


# ---- recordings


def _recorded(text: str, given: dict[str, Any], shown: output.Shown) -> Side:
    """The plan of a recording, as it can be measured afresh."""
    if not NUMBERED.fullmatch(text):
        raise PlanError(
            f"found {text}; allowed: run: and a recording's number such as run:3, or a trial's such as run:3.2.",
            hint="prony list",
        )
    if given["sets"]:
        raise PlanError(
            f"--set: found beside the recording {text}, whose plan is compared as it is; allowed: beside folders and "
            "git:REVISION.",
            hint="--with NAME=VALUE, for the project with a change",
        )
    store, _ = options.open_store(options.project_folder(given["project"]))
    number = text.removeprefix("run:")
    plan = _stored_plan(store, number)
    name = f"recording {number}"
    if plan.destination is not None:
        return Side(f"{name}, {plan.title}", _running_again(plan, name, given))
    try:
        now = options.written_plan(Path(plan.source), (), shown.say)
    except PlanError as error:
        raise PlanError(
            f"{name}: its {plan.source} cannot be read, whose values it needs: {error.message}",
            hint="name a folder, or git:REVISION, in place of the recording",
        ) from error
    return Side(f"{name}, {plan.title}", restored(plan, now, name))


def _stored_plan(store: Store, number: str) -> Plan:
    """The plan of a trial, or of all trials of a recording, with the fullest mix that they had."""
    campaign, _, trial = number.partition(".")
    rows = store.campaign(int(campaign)).trials
    if trial and number not in {row.id for row in rows}:
        raise RecordingError(
            f"Recording {campaign} has {len(rows)} trials, and no {number}.", hint=f"prony list {campaign}"
        )
    plans = [store.plan(row.id) for row in rows if not trial or row.id == number]
    if not plans:
        raise RecordingError(f"Recording {campaign} has no trial, and so no plan.", hint="prony list")
    if any((each.stack, each.destination) != (plans[0].stack, plans[0].destination) for each in plans):
        raise RecordingError(
            f"Recording {campaign} holds trials of several configurations; allowed: one of its trials.",
            hint=f"prony list {campaign}, then run:{rows[0].id} or another",
        )
    return max(plans, key=lambda plan: len(plan.traffic.requests))


def _running_again(plan: Plan, name: str, given: dict[str, Any]) -> Plan:
    """What a recording of --url loaded, to be arrived at anew; fields that were sent are never stored."""
    fields = alone.fields_of(given["headers"])
    missing = [each for each in plan.traffic.headers if each.lower() not in {field.lower() for field in fields}]
    if missing:
        raise PlanError(
            f"{name}: found no value for {', '.join(missing)}, which it was sent with; values of header fields are "
            "never stored.",
            hint=f"--header '{missing[0]}: …'",
        )
    destination = plan.destination and plan.destination.at("")
    return planned.with_fields(structs.replace(plan, destination=destination), fields)
