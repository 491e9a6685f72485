"""`prony gate`: is the project slower than its stored baseline; an exit code for CI."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

import prony
from prony.campaign import compare as campaign
from prony.campaign import machine, warming
from prony.campaign.bench import Bench
from prony.cli import comparing, options, output
from prony.comparison import Comparison, Contest, Gain
from prony.comparison.gate import Baseline, Gate, text_of, verdict
from prony.comparison.ratio import STARTS_LEAST
from prony.document import Document
from prony.errors import DoubtError, PlanError, PronyError
from prony.plan import Plan
from prony.report import gate as reports
from prony.report import terminal
from prony.stack.cores import divide

ALLOWED = {campaign.SATURATED: 0.1, campaign.RIGHT: 0.01, "latency_p50_s": 0.1, "app_cpu_s_per_request": 0.1}
EXITS = {"passed": 0, "failed": 1, "unknown": 4}
SEED = 1  # one side alone takes no turns
WRITE = "With --write: "
TRIES = 3  # starts of a baseline that are not to be believed are made up for so often, less one


def _file(flag: str, what: str, default: str | None = None) -> Any:
    kind = click.Path(path_type=Path, dir_okay=False)
    return click.option(flag, type=kind, default=default, show_default=default is not None, help=what)


@click.command()
@options.several(
    options.project,
    _file("--baseline", "The stored baseline: a file to be committed.", "prony-baseline.json"),
    click.option("--write", is_flag=True, help="Measure and store the baseline instead of comparing with it."),
    click.option(
        "--allow",
        multiple=True,
        metavar="FIGURE=SHARE",
        help=f"{WRITE}an allowed loss, such as latency_p99_s=15%.",
    ),
    comparing.starts,
    comparing.trial(WRITE),
    comparing.rate(WRITE, "its"),
    _file("--junit", "Write JUnit XML here."),
    _file("--markdown", "Append a Markdown summary here."),
    comparing.ends,
)
def gate(**given: Any) -> None:
    """Compare with a stored baseline: exit 0 held, 1 lost more than is allowed, 4 not to be believed.

    \b
    Example:  prony gate --write --allow latency_p99_s=15%
              prony gate --junit gate.xml --markdown "$GITHUB_STEP_SUMMARY"
    """
    try:
        document, judged = _held(given, output.Shown())
    except PronyError as error:
        _tell_error(given, error)
        raise
    if document is None:
        return
    _show(document, judged, given)
    click.get_current_context().exit(EXITS[verdict(judged)])


def _held(given: dict[str, Any], shown: output.Shown) -> tuple[Document | None, tuple[Gain, ...]]:
    """The document and the figures judged; None where a baseline was written."""
    path, allowed = given["baseline"], _allowed(given["allow"])
    stored = None if given["write"] else _read(path)
    if stored is not None:
        _check_flags(given)
        _check_machine(path, stored)
    plan = options.plan_of(given["project"], given["sets"], shown.say)
    comparing.check(plan)
    if stored is not None and plan.traffic.named:
        _check_load(path, stored, plan)
    store, place = options.open_store(options.project_folder(given["project"]))
    with shown.running(), Bench(store, "gate", plan.title, place, shown, namespace=not given["no_namespace"]) as bench:
        plan = bench.learn(plan)
        if stored is None:
            baseline = _measured(bench, plan, given, shown, allowed)
            bench.conclude(bench.document())
        else:
            _check_load(path, stored, plan)
            judged, document = _gated(bench, plan, stored, given, shown)
    if stored is None:
        _check_figures(baseline)
        _write(path, msgspec.json.format(msgspec.json.encode(baseline), indent=2).decode() + "\n")
        shown.say(f"{path}: {given['starts']} starts at {baseline.rate_rps:.0f} rps. Commit it; then: prony gate")
        return None, ()
    return document, judged


def _measured(
    bench: Bench, plan: Plan, given: dict[str, Any], shown: output.Shown, allowed: dict[str, float]
) -> Baseline:
    """A new baseline."""
    trial_s = given["trial"] or comparing.TRIAL_S
    pace = campaign.pace_of(bench, [plan], trial_s, warming.calibrate)
    rate_rps = given["rate"] or pace.rate_rps
    figures: dict[str, list[float]] = {name: [] for name in campaign.FIGURES}
    missing = given["starts"]
    for _ in range(TRIES):
        contest = Contest(1, most=missing, seed=SEED, figures=campaign.FIGURES)
        comparing.hold(bench, contest, [(plan.title, plan)], shown, rate_rps=rate_rps, trial_s=trial_s)
        for name, values in contest.found[0].items():
            figures[name] += values
        believed = min(sum(not math.isnan(value) for value in figures[name]) for name in allowed)
        missing = min(missing, given["starts"] - believed)
        if missing <= 0 or not believed:
            break
        shown.say(f"  {missing} of them were not to be believed in all that is to be judged: as many more.")
    return Baseline(
        prony=prony.__version__,
        title=plan.title,
        machine=_machine(bench.machine),
        load=_load(plan),
        how=_how(plan),
        boxes=_boxes(plan),
        rate_rps=rate_rps,
        trial_s=trial_s,
        figures={name: tuple(None if math.isnan(v) else v for v in values) for name, values in figures.items()},
        allowed=allowed,
        warm_up_s=0.0 if bench.warm_up is None else bench.warm_up.discarded_s,
    )


def _gated(
    bench: Bench, plan: Plan, stored: Baseline, given: dict[str, Any], shown: output.Shown
) -> tuple[tuple[Gain, ...], Document]:
    """The figures of now against the baseline's, and the document."""
    if stored.warm_up_s:
        shown.say(f"  Each start first serves {stored.warm_up_s:.1f} s that are not counted, as the baseline's did.")
        warming.discard(bench, stored.warm_up_s)
    at = Gate(stored, most=given["starts"], higher_is_better=campaign.HIGHER_IS_BETTER, seed=SEED)
    comparing.hold(bench, at.contest, [(plan.title, plan)], shown, rate_rps=stored.rate_rps, trial_s=stored.trial_s)
    comparison = Comparison(
        a=f"{given['baseline']}: {stored.title}",
        b=plan.title,
        seed=SEED,
        gains=at.judged,
        most=at.contest.most,
        looks=tuple(at.contest.looked),
    )
    document = bench.document(comparisons=(comparison,))
    bench.conclude(document)
    return at.judged, document


def _tell_error(given: dict[str, Any], error: PronyError) -> None:
    """To the files that a CI page is made of, why there is no comparison."""
    if given["write"]:
        return
    with contextlib.suppress(PlanError):  # the error itself is what is to be told
        if given["junit"]:
            _write(given["junit"], reports.junit_of_error(error.paragraph()))
        if given["markdown"]:
            _write(given["markdown"], reports.markdown_of_error(error.paragraph()), append=True)


def _show(document: Document, judged: tuple[Gain, ...], given: dict[str, Any]) -> None:
    if given["junit"]:
        _write(given["junit"], reports.junit(document.title, judged))
    if given["markdown"]:
        _write(given["markdown"], reports.markdown(document.title, judged), append=True)
    if given["as_json"]:
        output.print_json(document)
        return
    terminal.show(output.results(), document, {})
    for gain in judged:
        click.echo(f"  {gain.outcome or '':<8} {gain.figure}: {text_of(gain)}")


# ---- the baseline, and what it is a baseline for


def _machine(found: Mapping[str, Any]) -> str:
    return f"{found['cpu']}, {found['cpus']} cores"


def _load(plan: Plan) -> dict[str, float]:
    """Each request of the mix, with its share."""
    requests = plan.traffic.requests
    total = sum(each.weight for each in requests)
    shares: dict[str, float] = {}
    for each in requests:
        name = f"{each.method} {each.path}"
        shares[name] = shares.get(name, 0.0) + each.weight / total
    return {name: round(share, 4) for name, share in shares.items()}


def _how(plan: Plan) -> dict[str, str]:
    """How the mix is sent and judged, as far as a person says so: what a check learns may change by itself."""
    traffic = plan.traffic
    own = {f"{each.method} {each.path}": each for each in traffic.requests}
    found = {
        "cores": f"{len(divide().generator)} for the load generator, {len(divide().stack)} for the stack",
        "https": str(traffic.https),
        "keep_alive": str(traffic.keep_alive),
        "log-in": "none" if plan.login is None else "[login]",
        "header fields": ", ".join(sorted(traffic.headers)) or "none",
    }
    for name, each in own.items():
        if each.expected:
            found[f"{name}: expect"] = msgspec.json.encode(each.expect, order="deterministic").decode()
        if each.params:
            found[f"{name}: params"] = msgspec.json.encode(each.params, order="deterministic").decode()
    return found


def _boxes(plan: Plan) -> tuple[str, ...]:
    return tuple(
        f"{' + '.join(box.services)}: cpus {'all' if box.cpus is None else f'{box.cpus:g}'}, "
        f"memory {'all' if box.memory_bytes is None else box.memory_bytes}"
        for box in plan.boxes
    )


def _check_figures(baseline: Baseline) -> None:
    """Raises DoubtError where a figure that is to be judged was not believed on starts enough: it never could be."""
    for name in baseline.allowed:
        values = baseline.figures[name]
        believed = sum(value is not None for value in values)
        if believed < STARTS_LEAST:
            raise DoubtError(
                f"{name} is to be judged, and could be told on {believed} of {len(values)} starts only: no comparison "
                "with this baseline could ever hold, so none was written.",
                hint="longer trials (--trial 20s), a higher --rate, or no --allow for it",
            )


def _check_flags(given: dict[str, Any]) -> None:
    """Raises click.UsageError where a flag would change what the baseline says."""
    for flag, value in (("--allow", given["allow"]), ("--trial", given["trial"]), ("--rate", given["rate"])):
        if value:
            raise click.UsageError(f"found {flag} without --write; allowed: with it, for the baseline says so itself.")


def _check_machine(path: Path, stored: Baseline) -> None:
    """Raises DoubtError where the baseline is another machine's."""
    here = _machine(machine.machine())
    if stored.machine != here:
        raise DoubtError(
            f"{path}: the baseline was measured on another machine ({stored.machine}); this one is {here}, and its "
            "figures cannot be compared with those.",
            hint="prony gate on that machine, or prony gate --write here",
        )


def _check_load(path: Path, stored: Baseline, plan: Plan) -> None:
    """Raises PlanError where the baseline was measured under another load, or in other boxes."""
    here = _load(plan)
    if stored.load != here:
        other = [name for name in {**stored.load, **here} if stored.load.get(name) != here.get(name)]
        told = "; ".join(
            f"{name}: {_share(stored.load.get(name))} of it there, {_share(here.get(name))} here" for name in other[:5]
        )
        raise PlanError(
            f"{path}: the baseline was measured under another mix than {plan.source} has ({told}); allowed: the same.",
            hint="prony gate --write, or the mix as it was",
        )
    now = _how(plan)
    changed = [name for name in {**stored.how, **now} if stored.how and stored.how.get(name) != now.get(name)]
    if changed:
        told = "; ".join(
            f"{name}: {stored.how.get(name, 'none')} there, {now.get(name, 'none')} here" for name in changed
        )
        raise PlanError(
            f"{path}: the baseline was measured by other requests than {plan.source} has ({told}); allowed: the same.",
            hint="prony gate --write, or the requests as they were",
        )
    there, boxes = stored.boxes, _boxes(plan)
    if there != boxes:
        raise PlanError(
            f"{path}: the baseline was measured in other boxes ({'; '.join(there) or 'none'}) than {plan.source} has "
            f"({'; '.join(boxes) or 'none'}); allowed: the same.",
            hint="prony gate --write, or the boxes as they were",
        )


def _share(share: float | None) -> str:
    return "nothing" if share is None else f"{share:.0%}"


def _read(path: Path) -> Baseline:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Baseline)
    except OSError as error:
        raise PlanError(f"{path}: no baseline there: {error.strerror}.", hint="prony gate --write") from error
    except msgspec.DecodeError as error:
        raise PlanError(f"{path} is no baseline of prony's: {error}.", hint="prony gate --write") from error


def _allowed(given: tuple[str, ...]) -> dict[str, float]:
    allowed = dict(ALLOWED)
    for each in given:
        name, _, share = each.partition("=")
        try:
            value = float(share.removesuffix("%")) / (100 if share.endswith("%") else 1)
        except ValueError:
            value = -1.0
        if name not in campaign.FIGURES or not 0 <= value <= 10:
            raise click.UsageError(
                f"--allow: found {each}; allowed: FIGURE=SHARE such as latency_p99_s=15%, with one of "
                f"{', '.join(campaign.FIGURES)}."
            )
        allowed[name] = value
    return allowed


def _write(path: Path, text: str, *, append: bool = False) -> None:
    try:
        with path.open("a" if append else "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise PlanError(f"{path} cannot be written: {error.strerror}.", hint="name another file") from error
