"""Plans in, measured trials out: one stack and one store held for the length of a campaign."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import psutil

from prony import trial
from prony.campaign.machine import machine
from prony.capacity import Judgement, judge
from prony.document import Document, Trial, trial_of
from prony.doubts import Doubt, believed, doubts_of
from prony.plan import Plan
from prony.recording import Store, TrialWriter, now_text
from prony.stack.cores import Cores, divide
from prony.stack.stack import Stack, Start
from prony.summary import Summary, WarmUp, summarise
from prony.traffic import learned
from prony.visit.again import still_there
from prony.visit.login import Fields, log_in
from prony.visit.params import resolve
from prony.visit.survey import learn

QUIET_S = 5.0
WARMING = "warm-up"  # the role of trials that are not counted
LOGS_KEPT = 20
BESIDE_SHARE = 0.7  # of the free memory, which further stacks may take


Watch = Callable[[trial.Progress], None]
Load = contextlib.AbstractContextManager[trial.Following]


class Teller(Protocol):
    """Who tells the person at the terminal how far things are."""

    def stage(self, text: str) -> None:
        """A new part of the campaign begins."""

    def say(self, text: str) -> None:
        """A result worth a line."""

    def progress(self, what: str, detail: str, share: float | None) -> None:
        """What is being done now, how it stands, and how much of it is done (0 to 1; None: not known)."""

    def watch(self, label: str, plan: Plan) -> Callable[[trial.Progress], None]:
        """A trial begins: what is to hear of it whenever something of it has been written."""


LEAN = frozenset({"find", "compare", "gate", "doctor"})  # what is measured there, a closer look would lower


class Silent:
    """A teller that says nothing."""

    def stage(self, text: str) -> None: ...

    def say(self, text: str) -> None: ...

    def progress(self, what: str, detail: str, share: float | None) -> None: ...

    def watch(self, label: str, plan: Plan) -> Callable[[trial.Progress], None]:  # noqa: ARG002 - the protocol's names
        return lambda _: None


@dataclass(frozen=True, slots=True)
class Measured:
    """One trial, thought about: `summary` holds every figure, `believed` those no doubt voids; `start` is its boot."""

    plan: Plan
    summary: Summary
    doubts: tuple[Doubt, ...]
    judgement: Judgement
    start: int

    @property
    def id(self) -> str:
        """The trial's name in the store."""
        return self.summary.id

    @property
    def believed(self) -> Summary:
        """The summary with voided figures null."""
        return believed(self.summary, self.doubts)

    @property
    def entry(self) -> Trial:
        """The trial as documents hold it."""
        return trial_of(self.plan, self.believed, self.doubts)


def think(store: Store, trial_id: str, plan: Plan | None = None) -> Measured:
    """What a stored trial says, from the store alone; `plan` where a fuller one than the stored is at hand."""
    recording = store.recording(trial_id)
    summary = summarise(recording)
    doubts = tuple(doubts_of(recording, summary))
    plan = plan or recording.plan
    return Measured(plan, summary, doubts, judge(summary, doubts, plan.limits), recording.start)


class Bench:
    """One campaign's stack and its place in the store. Use as a context manager: leaving stops every process.

    Args:
        store: Where recordings go.
        verb: The command, as documents name it.
        title: What it is about.
        folder: Where logs go, below a folder of the campaign's own.
        teller: Who hears of the progress.
        namespace: Whether to try for a network of the stack's own.
        stacks: On how many plans may be measured in turns.

    Attributes:
        warm_up: What `campaign.warming` found; None where it did not look.
        warming: What a fresh start serves before its first trial, not counted; None: nothing.
    """

    warm_up: WarmUp | None = None
    warming: Callable[[Plan], Plan] | None = None

    def __init__(
        self,
        store: Store,
        verb: str,
        title: str,
        folder: Path,
        teller: Teller | None = None,
        *,
        namespace: bool = True,
        stacks: int = 1,
    ) -> None:
        self.store = store
        self.verb = verb
        self.title = title
        self.teller: Teller = teller or Silent()
        self.machine = machine()
        self.started_at = now_text()
        self.measured: list[Measured] = []
        self._namespace = namespace
        self.stacks: list[Stack] = []
        self._most_stacks = stacks
        self._visitors: dict[Stack, tuple[Any, tuple[Fields, ...]]] = {}
        self._boots: dict[tuple[Stack, int], int] = {}
        self._folder = folder
        self._affinity: set[int] = set()
        self._nice = os.nice(0)

    def __enter__(self) -> Self:
        cores = divide()
        if hasattr(os, "sched_setaffinity"):
            self._affinity = os.sched_getaffinity(0)
            os.sched_setaffinity(0, cores.side)
        self.campaign = self.store.begin_campaign(self.verb, self.title, self.machine)
        _prune(self._folder / "logs")
        try:
            self._stand(cores)
        except BaseException:
            self._end("failed")
            raise
        # What was started above and by the guard stays as it is; prony itself gives way to the generator on its core.
        self._nice = os.nice(0)
        os.nice(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave the clean-up half done
        try:
            self._stop()
        finally:
            signal.signal(signal.SIGINT, handler)
            if kind is not None:
                self._end("interrupted" if issubclass(kind, KeyboardInterrupt) else "failed")
            self._restore()

    def _stand(self, cores: Cores) -> None:
        """Makes ready what trials run on."""
        self._cores = cores
        self.stack = self._stack(self._folder / "logs" / str(self.campaign))
        self.stacks = [self.stack]
        for number in range(2, self._most_stacks + 1):  # now, for what prony starts later gives way as prony does
            try:
                self.stacks.append(self._stack(self._folder / "logs" / str(self.campaign) / f"stack-{number}"))
            except BaseException:
                self._stop()
                raise
        if not self.stack.launcher.namespace:
            why = self.stack.launcher.why_no_namespace
            self.teller.say(f"Contained by the audit hook alone, which sees Python's own calls and no more: {why}.")

    def _stack(self, logs: Path) -> Stack:
        return Stack(
            logs,
            self._cores,
            namespace=self._namespace,
            own_folder=self._folder,
            say=self.teller.say,
            detail=self.verb not in LEAN,
        )

    def _stop(self) -> None:
        """Ends all of it."""
        self._close(self.stacks)

    def one_stack(self) -> None:
        """Ends the further stacks: what is measured from now on has the machine to itself."""
        further, self.stacks = self.stacks[1:], self.stacks[:1]
        self._close(further)

    def _close(self, stacks: Sequence[Stack]) -> None:
        with contextlib.ExitStack() as held:
            for stack in stacks:
                held.callback(stack.close)

    def _end(self, status: str) -> None:
        self.store.end_campaign(self.campaign, status)
        self._restore()

    def _restore(self) -> None:
        if self._affinity:
            os.sched_setaffinity(0, self._affinity)
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, self._nice)

    def conclude(self, document: Document) -> None:
        """Stores what the campaign came to."""
        self.store.end_campaign(self.campaign, document.status, document)

    def learn(self, plan: Plan) -> Plan:
        """The plan with a mix: where neither it nor an earlier check names any page, they are looked for now."""
        if plan.traffic.named or plan.traffic.journeys:
            return plan
        start = self.stack.boot(plan)
        if learned.is_about(learned.load(self._folder), plan):
            if still_there(self.stack, start, plan, lambda text: self.teller.progress("visiting them", text, None)):
                return plan
            self.teller.say("Pages that a check had found are gone: the data were made anew, with other keys.")
        self.teller.stage("Which pages there are (prony check shows them one by one)")
        found = learn(self.stack, start, plan, lambda text: self.teller.progress("looking for pages", text, None))
        if found.routes:
            learned.save(self._folder, found)
        right = sum(route.right for route in found.routes)
        wrong = f", {len(found.routes) - right} do not" if right < len(found.routes) else ""
        left = f", {len(found.left_out)} are left out" if found.left_out else ""
        self.teller.say(f"  {right} answer as they should{wrong}{left}.")
        return learned.apply(plan, found)

    def measure(self, plan: Plan, label: str, role: str = "trial", *, fresh: bool = True) -> Measured:
        """One trial, on a fresh start or on the one that runs (where it runs this very configuration and is quiet)."""
        start, plan, visitors = self._ready(self.stack, plan, label, fresh=fresh)
        writer = self.store.begin_trial(self.campaign, plan, label, role, self._number(self.stack, start))
        trial.run(self.stack, start, plan, writer, self.teller.watch(label, plan), visitors=visitors)
        return self._thought(writer.trial, plan)

    def apart_because(self, plans: Sequence[Plan], memory_bytes: float) -> str:
        """Why further stacks, which take so much memory, cannot stand beside the first; empty where they can."""
        stores = (store for plan in plans for store in plan.stores.values())
        shared = next((store.name for store in stores if store.kind == "url"), "")
        if shared:
            return f"[stores.{shared}] is your own, and all would use it at once"
        in_place = any(remark.kind == "folder_written" for remark in self.stack.remarks)
        if in_place or not all(plan.app.scratch for plan in plans):
            return "what they write goes to one folder, which is not covered"
        if not self.stack.launcher.namespace:
            return "without network namespaces their ports would meet"
        if len(self.stacks) < len(plans):
            return "there is no stack for each"
        free = psutil.virtual_memory().available
        if memory_bytes > BESIDE_SHARE * free:
            return f"they would take {memory_bytes / 1e6:.0f} MB of {free / 1e6:.0f} MB of memory"
        if not all(map(self._has_pages, self.stacks[1:], plans[1:])):
            return "each stack prepares its data by itself, and pages that the first has are not found on another"
        return ""

    def _has_pages(self, stack: Stack, plan: Plan) -> bool:
        self.teller.progress("a stack for each", plan.title, None)
        return not any(each.paths for each in plan.traffic.requests) or still_there(stack, stack.boot(plan), plan)

    def measure_in_turns(
        self, plans: Sequence[Plan], labels: Sequence[str], role: str, *, fresh: bool, watched: str
    ) -> list[Measured]:
        """A trial of each of several plans at once, each on a stack of its own, loaded by turns (see `plan.turns`).

        `watched`: what whoever watches the first of them is told it is.
        """
        ready = [
            (stack, *self._ready(stack, plan, label, fresh=fresh))
            for stack, plan, label in zip(self.stacks[: len(plans)], plans, labels, strict=True)
        ]

        def load(number: int, writer: TrialWriter, watch: Watch) -> Load:
            stack, start, plan, visitors = ready[number]
            return trial.running(stack, start, plan, writer, watch, visitors=visitors, held=True)

        numbers = [self._number(stack, start) for stack, start, _, _ in ready]
        plans = [plan for _, _, plan, _ in ready]
        return self._by_turns(plans, labels, role, starts=numbers, load=load, watched=watched)

    def _by_turns(
        self,
        plans: Sequence[Plan],
        labels: Sequence[str],
        role: str,
        *,
        starts: Sequence[int],
        load: Callable[[int, TrialWriter, Watch], Load],
        watched: str,
    ) -> list[Measured]:
        """Trials whose loads take turns; `load` makes the one of that place in the lists."""
        ids: list[str] = []

        @contextlib.contextmanager
        def recorded(number: int) -> Iterator[trial.Following]:
            plan = plans[number]
            writer = self.store.begin_trial(self.campaign, plan, labels[number], role, starts[number])
            ids.append(writer.trial)
            watch: Watch = (lambda _: None) if number else self.teller.watch(watched, plan)
            with load(number, writer, watch) as found:
                yield found

        trial.together([recorded(number) for number in range(len(plans))])
        return [self._thought(each, plan) for each, plan in zip(ids, plans, strict=True)]

    def _ready(self, stack: Stack, plan: Plan, label: str, *, fresh: bool) -> tuple[Start, Plan, tuple[Fields, ...]]:
        """A start on which the plan can be loaded, warmed up where it is a new one, and whom to load it as."""
        start, cold = stack.start, False
        if fresh or start is None or not _same_stack(start.plan, plan) or not self._quiet(stack):
            self.teller.progress(label, f"starting {plan.title}", None)
            start, cold = stack.boot(plan), True
        plan = resolve(stack, plan)
        visitors = self._logged_in(stack, start, plan, label)
        if cold and self.warming is not None:
            self.teller.progress(label, "warming up", None)
            first, number = self.warming(plan), self._number(stack, start)
            writer = self.store.begin_trial(self.campaign, first, f"warm-up before {label}", WARMING, number)
            trial.run(stack, start, first, writer, visitors=visitors)
            self._quiet(stack)
        return start, plan, visitors

    def _number(self, stack: Stack, start: Start) -> int:
        """A start's number in the campaign, over all stacks."""
        return self._boots.setdefault((stack, start.number), len(self._boots) + 1)

    def _thought(self, trial_id: str, plan: Plan) -> Measured:
        """What a trial that has just run says, noted for the campaign's document."""
        found = think(self.store, trial_id, plan)
        self.measured.append(found)
        return found

    def _logged_in(self, stack: Stack, start: Start, plan: Plan, label: str) -> tuple[Fields, ...]:
        """The plan's visitors: logged in once a start, since their sessions are in the stores that a boot restores."""
        who = (start.number, plan.login, plan.traffic.host, plan.traffic.headers)
        known = self._visitors.get(stack)
        if known is None or known[0] != who:
            visitors = log_in(stack, start, plan, lambda text: self.teller.progress(label, text, None))
            known = self._visitors[stack] = (who, visitors)
        return known[1]

    def _quiet(self, stack: Stack) -> bool:
        """Whether the app has worked off what an earlier trial left in its queues; waits for it a little."""
        start = stack.start
        if start is None or not start.app.alive:
            return False
        return stack.launcher.wait_until(stack.idle, QUIET_S)

    def document(self, **found: Any) -> Document:
        """The campaign's document, with its trials and doubts."""
        doubts = tuple(doubt for measured in self.measured for doubt in measured.doubts)
        return Document(
            prony=self.machine["prony"],
            verb=self.verb,
            title=self.title,
            campaign=self.campaign,
            started_at=self.started_at,
            status="done",
            machine=self.machine,
            trials=tuple(measured.entry for measured in self.measured),
            doubts=doubts,
            warm_up=self.warm_up,
            **found,
        )


def _prune(logs: Path) -> None:
    """Keeps the logs of the latest campaigns only."""
    if logs.is_dir():
        numbered = sorted((int(path.name), path) for path in logs.iterdir() if path.name.isdigit())
        for _, path in numbered[:-LOGS_KEPT]:
            shutil.rmtree(path, ignore_errors=True)


def _same_stack(one: Plan, other: Plan) -> bool:
    return one.stack == other.stack
