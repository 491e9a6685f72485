"""An account's script in, its story retold on this machine out: tests, verdicts, a table, and one answer."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct, structs

from prony.campaign import explain, find, story, table
from prony.campaign.bench import Bench, Measured
from prony.campaign.script import Script, ScriptTest
from prony.document import Configuration, Document, Recommended, Test
from prony.errors import DoubtError
from prony.plan import Plan, changed, read_file
from prony.plan.checks import is_secret
from prony.verdict import conclude

BUDGET_S = 340.0
PAST_R_AGAIN = 2  # more tries at a load that was to be past R, where R proved too low


class Options(Struct, frozen=True, kw_only=True):
    """How a replay is varied.

    Attributes:
        only: Names of the tests to run; empty for all of them and the table.
        seeded: Seed the page before every test, also where the account did not.
        shuffle: Seed of another order of the tests; None for the account's.
        python: The app's interpreter.
        budget_s: Time for the tests and the table; searches that would pass it end with wider intervals.
    """

    only: tuple[str, ...] = ()
    seeded: bool = False
    shuffle: int | None = None
    python: str | None = None
    budget_s: float = BUDGET_S


@dataclass(slots=True)
class Replay:
    """One run of a script on a bench.

    Attributes:
        sets: `--set` changes, on top of the base of every test and configuration.
        r_rps: The rate at which the base saturates, once measured.
        first_r_rps: The same as it was measured first: a load past R that was held shows that R is higher.
        rushed: The tests under a rush of clients: a configuration's row need not repeat them.
    """

    bench: Bench
    script: Script
    options: Options
    sets: Mapping[str, Any]
    r_rps: float = 0.0
    first_r_rps: float = 0.0
    tests: list[Test] = field(default_factory=list)
    rushed: dict[str, Measured] = field(default_factory=dict)
    began_s: float = field(default_factory=time.monotonic)

    def run(self) -> Document:
        """Runs everything and stores what it came to.

        Raises:
            DoubtError: the base fails already, so that no load can be derived.
        """
        names = [test.name for test in self.script.test]
        teller = self.bench.teller
        base = self.plan({})
        teller.stage("How fast is it? (R: the rate at which the first configuration saturates)")
        saturated = find.saturate(self.bench, base, self.script.saturation.duration_s, "saturation")
        if saturated.summary.errors.share > 0.5:
            raise DoubtError(
                f"{base.title} failed {saturated.summary.errors.share:.0%} of the requests that were to find R: "
                "no load can be derived from that.",
                hint="prony report, for what was answered",
            )
        self.r_rps = self.first_r_rps = max(saturated.summary.achieved_rps, 2.0)
        teller.say(f"  R = {self.r_rps:.0f} rps on this machine, today: {base.title}")
        wanted = [test for test in self.script.test if not self.options.only or test.name in self.options.only]
        order = list(wanted)
        if self.options.shuffle is not None:
            random.Random(self.options.shuffle).shuffle(order)  # noqa: S311 - an order, recorded with its seed
        rows: list[Configuration] = []
        for test in order:
            self._run_test(test)
        recommended: Recommended | None = None
        if not self.options.only:
            known = table.Known(
                plans={row.name: self.configuration(row.name) for row in self.script.configuration},
                rushed=tuple(self.rushed.values()),
                r_rps=self.r_rps,
                seed=self.options.shuffle or 0,
                deadline_s=self.began_s + self.options.budget_s,
            )
            rows, recommended = table.measure(self.bench, self.script, known)
        self.tests = [self._compared(test) for test in self.tests]
        self.tests.sort(key=lambda test: names.index(test.name))
        document = self._document(base, rows, recommended)
        self.bench.conclude(document)
        return document

    def plan(self, changes: Mapping[str, Any], *, seeded: bool = True) -> Plan:
        """The app's plan with the script's base, a test's own changes, and the user's, in this order."""
        plan = read_file(self.script.folder)
        chosen: dict[str, Any] = {}
        if self.options.python:
            chosen["app.python"] = self.options.python
        if not (seeded or self.options.seeded):
            chosen["app.prepare"] = [line for line in plan.app.prepare if "seed_data" not in line]
        for layer in (self.script.base, changes, chosen, self.sets):
            plan = changed(plan, layer)
        return plan

    def configuration(self, name: str) -> Plan:
        """The plan of one row of the table."""
        row = next(row for row in self.script.configuration if row.name == name)
        plan = self.plan(row.set)
        if row.threads_fit_database and plan.database is not None and "server.threads" not in self.sets:
            usable = plan.database.max_connections - 3
            threads = max(1, min(16, usable // plan.server.processes))
            plan = changed(plan, {"server.threads": threads})
        return plan

    def _run_test(self, test: ScriptTest) -> None:
        teller = self.bench.teller
        teller.stage(f"{test.name}: {test.title}")
        plan = self.configuration(test.configuration) if test.configuration else self.plan(test.set, seeded=test.seeded)
        if test.share_of_r is not None:
            loaded = plan.loaded(
                rate_rps=max(1.0, test.share_of_r * self.r_rps), duration_s=test.duration_s, drain_s=test.drain_s
            )
        else:
            loaded = plan.loaded(users=test.clients, duration_s=test.duration_s, drain_s=test.drain_s)
        measured = self.bench.measure(loaded, test.name, "test")
        if (test.share_of_r or 0) > 1:
            measured = self._past_r(test, measured)
        if test.clients is not None:
            self.rushed[test.name] = measured
        for line in story.tell(measured, conclude(measured.summary, measured.judgement)):
            teller.say(f"  {line}")
        explained = explain.explain(self.bench, measured)
        self.tests.append(_told(test, measured, explained))
        teller.say(f"  {story.headline(explained.verdict)}")

    def _past_r(self, test: ScriptTest, measured: Measured) -> Measured:
        """A load past R that the app held shows that R was measured too low, on a noisy machine: R rises, once more."""
        for _ in range(PAST_R_AGAIN):
            if not measured.judgement.held:
                break
            self.r_rps = max(1.2 * self.r_rps, measured.summary.achieved_rps)
            self.bench.teller.say(f"  That was held: R is at least {self.r_rps:.0f} rps. Again, past that.")
            traffic = measured.plan.traffic
            loaded = measured.plan.loaded(
                rate_rps=(test.share_of_r or 1) * self.r_rps, duration_s=traffic.duration_s, drain_s=traffic.drain_s
            )
            measured = self.bench.measure(loaded, f"{test.name} again", "test")
        return measured

    def _compared(self, told: Test) -> Test:
        """A test that is to be seen beside another, with a sentence on both."""
        script = next(test for test in self.script.test if test.name == told.name)
        if script.beside not in self.rushed or told.name not in self.rushed:
            return told
        line = story.compare(self.rushed[told.name], self.rushed[script.beside], script.beside)
        self.bench.teller.say(f"  {told.name}: {line}")
        return structs.replace(told, text=(*told.text, line))

    def _document(self, base: Plan, rows: list[Configuration], recommended: Recommended | None) -> Document:
        return self.bench.document(
            declared=self._declared(base),
            tests=tuple(self.tests),
            verdicts=tuple(test.verdict for test in self.tests),
            configurations=tuple(rows),
            capacities=tuple(row.capacity for row in rows),
            recommended=recommended,
        )

    def _declared(self, base: Plan) -> tuple[str, ...]:
        """What a sceptic must know of the set-up."""
        cores = self.bench.stack.cores
        found = [f"R, the rate at which {base.title} saturates here, was {self.r_rps:.0f} rps; loads derive from it."]
        if self.r_rps > self.first_r_rps:
            found.append(f"R was measured as {self.first_r_rps:.0f} rps first, which earlier loads derive from.")
        if base.database is not None:
            found.append(
                f"Postgres gives {base.database.max_connections} connections. A round trip of "
                f"{base.database.round_trip_s * 1000:g} ms was added before it, as to a managed database."
            )
        found.append(
            f"App and database ran on core(s) {_list(cores.stack)}, the load generator on {_list(cores.generator)}."
        )
        order = "the account's order" if self.options.shuffle is None else f"shuffled with seed {self.options.shuffle}"
        found.append(f"Tests ran in {order}; each on a fresh start.")
        if not self.options.only:
            found.append("Searches for capacity took turns, two decisions each, in random order.")
        if self.bench.stack.launcher.namespace:
            found.append("The stack ran in a network namespace of its own: nothing outside could be reached.")
        if self.sets:
            found.append(
                "Changed by hand: " + ", ".join(f"{name}={_shown(name, value)}" for name, value in self.sets.items())
            )
        return tuple(found)


def _shown(name: str, value: Any) -> str:
    return "(redacted)" if is_secret(name) else str(value)


def _list(cores: tuple[int, ...]) -> str:
    return ", ".join(str(core) for core in cores)


def _told(test: ScriptTest, measured: Measured, explained: explain.Explained) -> Test:
    return Test(
        name=test.name,
        title=test.title,
        account=test.account,
        load=story.load_in_words(measured, test.share_of_r),
        trial=measured.id,
        verdict=explained.verdict,
        text=story.tell(measured, explained.verdict),
        relief_trials=tuple(m.id for m in explained.relief),
    )
