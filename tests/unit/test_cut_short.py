"""What is known of a search or a comparison that is cut short is kept and told; and what is told while one runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest
from click.testing import CliRunner
from msgspec import structs

from prony.campaign.alone import AloneBench
from prony.campaign.bench import Bench, Measured, Silent
from prony.campaign.compare import Pace
from prony.campaign.curve import curve_of, trace
from prony.campaign.find import Hunt, hunt, names_of
from prony.capacity import Goal, Search
from prony.cli import cli
from prony.comparison import Contest
from prony.document import Document
from prony.errors import ConsentError, PlanError, StackError
from prony.plan import Destination, Limits, Plan
from prony.plan.alone import plan_for
from tests.unit.recording_case import a_plan
from tests.unit.test_curve import Simulated
from tests.unit.test_report_html import an_empty

GONE = ConsentError("shop.example.com had consented to be loaded, and no longer says so.", hint="prony doctor")
PLAN = plan_for(
    Destination(host="shop.example.com", port=8000, address="198.51.100.7", consent="header"), ["/"], {}, ()
)


class Ending(Simulated):
    """A bench that says what its trials are called, and raises an error in place of the trial of that number."""

    def __init__(self, after: int = 10_000, error: PlanError = GONE) -> None:
        super().__init__()
        self.labels: list[str] = []
        self._after, self._error = after, error

    def measure(self, plan: Plan, label: str, role: str = "trial", *, fresh: bool = True) -> Measured:
        if len(self.labels) == self._after:
            raise self._error
        self.labels.append(label)
        return super().measure(plan, label, role, fresh=fresh)


def searched(bench: Simulated, *more: Limits, budget_s: float = math.inf) -> Hunt:
    """A search with these further sets of limits, and its curve."""
    goals = tuple(Goal(name=each.text) for each in (Limits(), *more))
    found = Hunt(a_plan(), Search(start=70.0, goals=goals, width=0.2, trials_max=60), 20.0, more=more)
    hunt(cast("Bench", bench), found, budget_s)
    trace(cast("Bench", bench), found, math.inf)
    return found


# ---- a search


def test_a_consent_that_is_taken_back_ends_a_search_with_what_is_known() -> None:
    bench = Ending(after=3)
    found = searched(bench)
    assert found.error is GONE
    assert found.interrupted
    assert len(bench.labels) == len(found.ids) == len(curve_of(found).points) == 3, "nor is more of the curve tried"
    assert found.capacity.trials >= 1


def test_where_a_search_found_no_upper_end_the_reason_is_how_it_ended() -> None:
    for error, why in ((GONE, "the host no longer consents"), (PlanError("another"), "an error ended it")):
        found = Hunt(a_plan(), Search(start=5.0, width=0.2), 20.0)
        hunt(cast("Bench", Ending(1, error)), found, math.inf)
        assert found.capacity.text == f"at least 5 rps ({why})"


def test_a_consent_that_is_taken_back_before_anything_is_known_is_an_error() -> None:
    with pytest.raises(ConsentError):
        searched(Ending(after=0))


def test_a_consent_that_is_taken_back_among_the_curves_trials_keeps_the_capacity() -> None:
    whole = searched(Ending())
    found = searched(Ending(after=len(whole.ids) + 1))
    assert found.error is GONE
    assert found.capacity == whole.capacity
    assert len(curve_of(found).points) == len(whole.ids) + 1
    assert found.missing


# ---- what is told meanwhile


def test_each_trial_says_what_is_known_and_how_much_of_the_budget_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]

    def ticking() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr("prony.campaign.find.time.monotonic", ticking)
    bench = Ending()
    searched(bench, budget_s=10_000.0)
    assert bench.labels[0] == "70 rps (nothing holds yet; 0 % of the budget used)"
    assert bench.labels[1].startswith("105 rps (70 holds; ")
    shares = [int(label.partition("; ")[2].partition(" %")[0]) for label in bench.labels]
    assert shares == sorted(shares)
    assert bench.labels[-1].split(" (")[1].startswith("curve; ")


def test_without_a_budget_no_share_of_it_is_told() -> None:
    bench = Ending(after=2)
    searched(bench)
    assert bench.labels == ["70 rps (nothing holds yet)", "105 rps (70 holds)"]


def test_every_set_of_limits_has_its_own_interval_in_the_label() -> None:
    bench = Ending()
    found = searched(bench, Limits(latency_s={"p99": 0.1}))
    last = [label for label in bench.labels if "(curve" not in label][-1]
    assert bench.labels[0] == "70 rps (p99 ≤ 1 s: nothing yet; p99 ≤ 0.1 s: nothing yet)"
    loose, tight = found.search.known(0), found.search.known(1)
    assert loose != tight
    assert "p99 ≤ 1 s: " in last
    assert "p99 ≤ 0.1 s: " in last
    assert found.known == "; ".join(
        f"{name}: {low:.0f} – {high:.0f}"
        for name, (low, high) in (("p99 ≤ 1 s", loose), ("p99 ≤ 0.1 s", tight))
        if low is not None and high is not None
    )


@pytest.mark.parametrize(
    ("sets", "names"),
    [
        ([Limits(), Limits(latency_s={"p99": 0.2}, errors=0.001)], ["p99 ≤ 1 s", "p99 ≤ 0.2 s"]),
        ([Limits(), Limits(errors=0.001)], ["errors ≤ 1 %", "errors ≤ 0.1 %"]),
        (
            [Limits(), Limits(errors=0.001), Limits(latency_s={"p99": 0.2})],
            ["p99 ≤ 1 s, errors ≤ 1 %", "p99 ≤ 1 s, errors ≤ 0.1 %", "p99 ≤ 0.2 s, errors ≤ 1 %"],
        ),
        ([Limits(), Limits()], ["limits 1", "limits 2"]),
        ([Limits(), Limits(latency_s={"p99": 1.0, "p50": 0.1})], ["limits 1", "limits 2"]),
    ],
)
def test_a_set_of_limits_is_called_by_what_tells_it_from_the_others(sets: list[Limits], names: list[str]) -> None:
    assert names_of(sets) == names


# ---- the commands


class Standing:
    """Stands where a bench of a command would: it measures nothing, and makes the document."""

    def __init__(self) -> None:
        self.teller = Silent()
        self.concluded: list[Document] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def document(self, **found: Any) -> Document:
        return an_empty("it", **found)

    def conclude(self, document: Document) -> None:
        self.concluded.append(document)


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> Standing:
    found = Standing()
    monkeypatch.setattr("prony.cli.alone.bench", lambda *_, **__: (found, None))
    monkeypatch.setattr("prony.cli.find.arrive", lambda plan, _: plan)
    monkeypatch.setattr("prony.cli.sides.arrived", lambda sides, _: sides)
    return found


def test_prony_find_tells_what_is_known_and_then_the_error(standing: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    hunted = Hunt(a_plan(), Search(start=70.0), 20.0, interrupted=True, error=GONE)
    document = standing.document(capacities=(hunted.capacity,))
    monkeypatch.setattr("prony.cli.find._found", lambda *_: (structs.replace(document, status="interrupted"), hunted))
    result = CliRunner().invoke(cli, ["find", "--url", "http://shop.example.com/"])
    assert result.exception is GONE
    assert "Capacity" in result.output
    assert "interrupted" in result.output
    assert "% sure" not in result.output, "an interval without an end is not so sure"
    assert [each.status for each in standing.concluded] == ["interrupted"]


def ended(error: BaseException, rounds: int) -> Callable[..., None]:
    """Holds a contest for so many rounds, which differ too much for an early end, and then ends by an error."""

    def hold(_: object, contest: Contest, *__: object, **___: object) -> None:
        for number in range(rounds):
            for side in contest.ask_round():
                contest.tell(dict.fromkeys(contest.found[0], 1.5 if side and number % 2 else 1.0))
        raise error

    return hold


@pytest.fixture
def compared(standing: Standing, monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException, int], Any]:
    monkeypatch.setattr("prony.campaign.compare.learned", lambda _, plans: plans)
    monkeypatch.setattr("prony.campaign.compare.pace_of", lambda *_: Pace(10.0, 0.1, 0.0))
    monkeypatch.setattr("prony.campaign.compare.answer_s_of_turns", lambda *_: None)

    def run(error: BaseException, rounds: int) -> Any:
        monkeypatch.setattr("prony.cli.comparing.hold", ended(error, rounds))
        result = CliRunner().invoke(cli, ["compare", "http://one.example.com/", "http://other.example.com/"])
        return SimpleNamespace(result=result, concluded=standing.concluded)

    return run


def test_prony_compare_keeps_what_was_measured_where_a_consent_is_taken_back(
    compared: Callable[[BaseException, int], Any],
) -> None:
    found = compared(GONE, 5)
    assert found.result.exception is GONE
    [document] = found.concluded
    [comparison] = document.comparisons
    assert document.status == "interrupted"
    assert (comparison.looks[-1], comparison.why) == (5, "the host no longer consents")
    assert {gain.starts for gain in comparison.gains} == {(5, 5)}
    said = " ".join(found.result.output.split())
    assert "Ended after 5 of at most 20 repeated trials of each: the host no longer consents." in said


def test_ctrl_c_ends_a_comparison_in_the_same_way(compared: Callable[[BaseException, int], Any]) -> None:
    found = compared(KeyboardInterrupt(), 2)
    assert found.result.exit_code == 1, "click's own; the program makes 130 of it"
    [document] = found.concluded
    assert (document.status, document.comparisons[0].why) == ("interrupted", "interrupted")
    assert {gain.verdict for gain in document.comparisons[0].gains} == {"unknown"}


def test_starts_that_fail_in_the_middle_of_a_comparison_keep_what_was_measured(
    compared: Callable[[BaseException, int], Any],
) -> None:
    error = StackError("gunicorn ended before it answered.")
    found = compared(error, 5)
    assert found.result.exception is error
    [document] = found.concluded
    assert (document.status, document.comparisons[0].why) == ("interrupted", "an error ended it")
    assert {gain.starts for gain in document.comparisons[0].gains} == {(5, 5)}


def test_a_comparison_without_a_whole_round_is_an_error(compared: Callable[[BaseException, int], Any]) -> None:
    found = compared(GONE, 0)
    assert found.result.exception is GONE
    assert found.concluded == []


def test_no_trial_is_begun_where_the_consent_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unfinished trial would lie in the store."""

    def gone(*_: object) -> None:
        raise GONE

    monkeypatch.setattr("prony.alone.trial.still", gone)
    bench = AloneBench.__new__(AloneBench)  # without a store: it is not to be asked for anything
    loaded = PLAN.loaded(rate_rps=5.0, duration_s=1.0)
    with pytest.raises(ConsentError):
        bench.measure(loaded, "it")
    with pytest.raises(ConsentError):
        bench.measure_in_turns([loaded, loaded], ["one", "other"], "compare", fresh=True, watched="both")
