"""A document in, what a person reads at the terminal out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from prony.document import Configuration, Document, Recommended, RouteCost, Test, Trial
from prony.doubts import Doubt
from prony.figures import count, duration, load_in_words, percent, rate, share, size
from prony.recording import Campaign
from prony.report import comparison, curves, inside
from prony.report.series import Series
from prony.summary import Incident, Quantile, Slice, StreamFigures
from prony.verdict import CAUSES, TIERS, Suggestion, Verdict

SEEN_MAX = 6
ROUTES_MAX = 30


def show(console: Console, document: Document, series: dict[str, Series]) -> None:
    """Prints the whole of a document."""
    head = f"[bold]{escape(document.title)}[/bold]  prony {document.verb} · {document.campaign} · {document.started_at}"
    status = (
        "" if document.status == "done" else f" · [bold red]{document.status}[/bold red]: what had finished is shown"
    )
    console.print(head + status)
    for line in document.declared:
        console.print(f"  {escape(line)}", style="dim")
    if document.warm_up is not None:
        console.print(f"  {escape(document.warm_up.text)}", style="dim")
    if document.slices:
        for each in document.slices:
            console.print(_slice(each))
        _doubts(console, document.doubts)
        return
    if document.routes:
        console.print(_routes(document.routes))
    for test in document.tests:
        console.print(_test(test))
    if not document.tests and not document.comparisons:
        _trials(console, document, series)
    if document.configurations:
        console.print()
        console.print(_configurations(document.configurations, document.recommended))
    else:
        _capacities(console, document)
    comparison.show(console, document.comparisons)
    if document.recommended is not None:
        console.print(_recommended(document.recommended))
    if document.next:
        console.print(_next(document.next))
    _doubts(console, document.doubts)


def _capacities(console: Console, document: Document) -> None:
    """Each capacity, and the curve it lies on."""
    for capacity in document.capacities:
        sure = f", {capacity.sure:.0%} sure" if capacity.low is not None and capacity.high is not None else ""
        console.print(
            f"\n[bold]Capacity[/bold] of {escape(capacity.title)}: [bold]{escape(capacity.text)}[/bold]\n"
            f"  within {escape(capacity.limits)}; {capacity.trials} trials on {capacity.starts} "
            f"start{'' if capacity.starts == 1 else 's'}{sure}: "
            "this machine, these starts, this day."
        )
    for curve in document.curves:
        curves.show(console, curve, document.capacities)


def _trials(console: Console, document: Document, series: dict[str, Series]) -> None:
    costs = {name for cost in document.routes for name in cost.trials}  # their figures are in the table above
    on_curve = {point.trial for curve in document.curves for point in curve.points}  # a row each there
    shown = [trial for trial in document.trials if trial.id not in costs | on_curve]
    for trial in shown[:6] if not document.capacities else shown:
        by_route = len(trial.routes) > 1 and not document.routes and not document.capacities
        guessed = "mix_guessed" in trial.doubts  # then figures over all routes say least
        if by_route and guessed:
            console.print(_trial_routes(trial))
        console.print(_trial(trial) if not document.capacities else _one_line(trial))
        if by_route and not guessed:
            console.print(_trial_routes(trial))
    if len(shown) > 6 and not document.capacities:
        console.print(f"  … and {len(shown) - 6} trials more: prony report {document.campaign} --html FILE")
    for part in inside.shown(document):
        console.print(part, highlight=False)
    if len(document.trials) == 1 and document.trials[0].id in series:
        console.print(Padding(seconds(series[document.trials[0].id]), (0, 0, 0, 2)))
    for verdict in document.verdicts if not document.capacities else ():
        console.print(_verdict(verdict))


def _routes(costs: Iterable[RouteCost]) -> RenderableType:
    """What each route costs by itself, the costliest first."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("page", overflow="fold")
    for name in ("time", "alone, rps", "app CPU", "database CPU", "size", "failed"):
        table.add_column(name, justify="right")
    for cost in list(costs)[:ROUTES_MAX]:
        table.add_row(
            escape(cost.name),
            duration(cost.time_s),
            count(cost.alone_rps),
            duration(cost.app_cpu_s),
            duration(cost.database_cpu_s),
            size(cost.bytes),
            f"[bold red]{share(cost.errors)}[/bold red]" if cost.errors else "0 %",
        )
    head = "\n[bold]What each page costs by itself[/bold]"
    how = "  time: the median for one visitor; alone: nothing but this page, with every slot busy"
    return Group(head, f"[dim]{how}[/dim]", Padding(table, (0, 0, 0, 2)))


def _trial_routes(trial: Trial) -> RenderableType:
    """One trial's figures by route, the slowest first."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("page", overflow="fold")
    for name in ("requests", "p50", "p99", "size", "failed"):
        table.add_column(name, justify="right")
    for each in sorted(trial.routes, key=lambda route: -(route.latency_s["p50"] or 0.0))[:ROUTES_MAX]:
        failed = f"[bold red]{share(each.errors)}[/bold red]" if each.errors else "0 %"
        latency = each.latency_s
        figures = (count(each.requests), duration(latency["p50"]), duration(latency["p99"]), size(each.bytes))
        table.add_row(escape(each.name), *figures, failed)
    return Padding(table, (0, 0, 0, 2))


def _next(suggestions: Iterable[Suggestion]) -> RenderableType:
    lines = [f"  [bold cyan]{escape(each.command)}[/bold cyan]\n      {escape(each.why)}" for each in suggestions]
    return "\n".join(["\n[bold]What to try next[/bold]", *lines])


def seconds(series: Series) -> Table:
    """The course of one trial, a line for each stretch of time."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    levels = {"in app": series.in_flight, "db conns": series.connections}
    watched = {name: values for name, values in levels.items() if any(value is not None for value in values)}
    for name in ("s", "due/s", "right/s", "failed/s", "p50", "p99", *watched):
        table.add_column(name, justify="right")
    for i in range(len(series.t_s)):
        table.add_row(
            f"{series.t_s[i]:.0f}",
            count(series.offered_rps[i]),
            count(series.right_rps[i]),
            count(series.failed_rps[i]),
            duration(series.p50_s[i]),
            duration(series.p99_s[i]),
            *(count(values[i]) for values in watched.values()),
        )
    return table


def _one_line(trial: Trial) -> str:
    doubts = f"  [yellow]{', '.join(trial.doubts)}[/yellow]" if trial.doubts else ""
    return (
        f"  {trial.id:>6}  {rate(trial.offered_rps):>10}  p99 {duration(trial.latency_s['p99']):>8}  "
        f"errors {share(trial.errors.share):>6}{doubts}"
    )


def _trial(trial: Trial) -> str:
    load = trial.plan["traffic"]
    what = load_in_words(load, trial.offered_rps)
    latency = trial.latency_s
    statuses = ", ".join(f"{n} × {status}" for status, n in sorted(trial.errors.by_status.items())) or "none"
    other = {k: n for k, n in trial.errors.by_outcome.items() if k not in {"ok", "wrong_status", "check_failed"}}
    return (
        f"\n[bold]Trial {trial.id}[/bold] {escape(trial.label)}: {escape(trial.plan['title'])}\n"
        f"  load      {what} for {trial.duration_s:.1f} s: {trial.requests} requests recorded\n"
        f"  served    {rate(trial.achieved_rps)} right answers; {share(trial.errors.share)} failed\n"
        f"  answers   {statuses}{''.join(f', {n} × {k}' for k, n in sorted(other.items()))}\n"
        f"  latency   p50 {duration(latency['p50'])}  p90 {duration(latency['p90'])}  p99 {duration(latency['p99'])}  "
        f"max {duration(latency['max'])}"
        + (f"\n  retries   {trial.retries} of the requests were tries again" if trial.retries else "")
        + "".join(f"\n  stream    {_stream(each)}" for each in trial.streams)
        + "".join(f"\n  wrong     {n} × {escape(what)}" for what, n in _most(trial.errors.by_check))
        + "".join(f"\n  raised    {n} × {escape(what)}" for what, n in _most(trial.exceptions))
        + "".join(f"\n  seen      {_incident(each)}" for each in trial.incidents[:SEEN_MAX])
    )


def _slice(each: Slice) -> RenderableType:
    """The exact figures of a part of a trial's requests."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in ("latency", "95 % interval", "service time", "95 % interval"):
        table.add_column(name, justify="right")
    for name, latency in each.latency_s.items():
        table.add_row(name, *_quantile(latency, each), *_quantile(each.service_time_s[name], each))
    ended = ", ".join(f"{n} × {name}" for name, n in sorted(each.by_outcome.items())) or "none"
    head = (
        f"\n[bold]Trial {each.trial}[/bold], {escape(each.route or 'all routes')}, due from {each.from_s:g} s to "
        f"{each.to_s:g} s\n  requests  {each.requests} ({ended}); {share(each.errors)} failed\n"
        f"  answered  n = {each.answered}, over which the quantiles are taken"
    )
    note = "  The interval is exact for requests that do not depend on each other; where they queue it is wider."
    if each.doubts:
        note = f"  Not told, for the trial is in doubt: {', '.join(each.doubts)}."
    return Group(head, Padding(table, (0, 0, 0, 2)), f"[dim]{note}[/dim]")


def _quantile(found: Quantile, of: Slice) -> tuple[str, str]:
    if found.value_s is None:
        return ("–", "in doubt") if of.doubts else ("–", f"insufficient: {of.answered} of {found.wanted}")
    return duration(found.value_s), f"{duration(found.low_s)} to {duration(found.high_s)}"


def _stream(each: StreamFigures) -> str:
    first, gap = each.first_event_s, each.event_gap_s
    return (
        f"{escape(each.name)}: {each.streams} streams, {each.events} events; first event p50 {duration(first['p50'])}  "
        f"p99 {duration(first['p99'])}; gaps p50 {duration(gap['p50'])}  p99 {duration(gap['p99'])}"
    )


def _most(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda each: -each[1])[:SEEN_MAX]


def _incident(each: Incident) -> str:
    times = f"{each.times} × " if each.times > 1 else ""
    return f"{times}{each.kind} [dim]({escape(each.tier)})[/dim] {escape(each.text)}"


def _verdict(verdict: Verdict) -> RenderableType:
    grade = verdict.cause_grade
    lines = [
        f"\n[bold]What limits it[/bold]: {escape(CAUSES[verdict.cause])}  [dim]cause {verdict.cause}, {grade}[/dim]"
    ]
    if verdict.tier not in {"none", "unknown"}:
        lines.append(f"  tier: {escape(TIERS[verdict.tier])}  [dim]{verdict.tier}, {verdict.tier_grade}[/dim]")
    lines += [f"  · {escape(line)}" for line in verdict.evidence]
    return "\n".join(lines)


def _test(test: Test) -> RenderableType:
    verdict = test.verdict
    parts = [
        f"\n[bold]{escape(test.name)}: {escape(test.title)}[/bold]",
        f"  [dim]account[/dim]  {escape(test.account)}",
        f"  [dim]load[/dim]     {escape(test.load)}",
        *(f"  [dim]here[/dim]     {escape(line)}" for line in test.text),
        (
            f"  [dim]verdict[/dim]  [bold]{escape(CAUSES[verdict.cause])}[/bold] [dim](tier {verdict.tier}, "
            f"{verdict.tier_grade}; cause {verdict.cause}, {verdict.cause_grade})[/dim]"
        ),
        *(f"             · {escape(line)}" for line in verdict.evidence),
    ]
    return "\n".join(parts)


def _configurations(rows: Sequence[Configuration], recommended: Recommended | None) -> Table:
    title = f"What each configuration can do (each capacity {rows[0].capacity.sure:.0%} sure)"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    table.add_column("configuration")
    for name in ("capacity, rps", "p99 at it", "rush: failed", "rush: rps", "memory", "db conns"):
        table.add_column(name, justify="right")
    for row in rows:
        chosen = recommended is not None and row.name == recommended.name
        table.add_row(
            ("→ " if chosen else "  ") + escape(row.title),
            escape(row.capacity.short),
            duration(row.p99_s),
            f"{percent(row.rush_errors)} %",
            count(row.rush_rps),
            size(row.memory_bytes),
            count(row.connections),
            style="bold green" if chosen else "",
        )
    return table


def _recommended(found: Recommended) -> RenderableType:
    lines = [
        f"[bold]Recommended: {escape(found.plan)}[/bold]",
        f"  {escape(found.why)}",
        f"  {escape(found.remeasured)}",
        ""
        if found.soaked
        else "  Not soaked: it was not held for a quarter of an hour, where leaks and recycling show.",
        "  Procfile:",
        f"    [bold cyan]{escape(found.procfile)}[/bold cyan]",
    ]
    if found.environment:
        lines += ["  Environment:", *(f"    [bold cyan]{escape(line)}[/bold cyan]" for line in found.environment)]
    return Group(*(line for line in lines if line))


def _doubts(console: Console, doubts: Iterable[Doubt]) -> None:
    """Each kind of doubt once, with how many trials it touches."""
    kinds: dict[str, list[Doubt]] = {}
    for doubt in doubts:
        kinds.setdefault(doubt.name, []).append(doubt)
    if not kinds:
        return
    console.print("\n[bold]Doubts[/bold]")
    for name, found in kinds.items():
        first = found[0]
        trials = f"{len(found)} trials" if len(found) > 1 else f"trial {first.trial}"
        console.print(f"  {first.kind} [bold]{name}[/bold] ({trials}): {escape(first.text)}. {escape(first.todo)}")


def show_list(console: Console, campaigns: list[Campaign], path: str) -> None:
    """Prints all campaigns, the latest last."""
    if not campaigns:
        console.print(f"No recording yet in {escape(path)}. Make one: prony demo")
        return
    table = Table(box=box.SIMPLE_HEAD)
    for name, justify in (
        ("ID", "right"),
        ("started", "left"),
        ("verb", "left"),
        ("what", "left"),
        ("trials", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type] # rich's own literal
    table.add_column("requests", justify="right")
    table.add_column("status")
    for campaign in campaigns:
        table.add_row(
            str(campaign.id),
            campaign.started_at.replace("T", " ").replace("+00:00", " UTC"),
            campaign.verb,
            escape(campaign.title),
            str(len(campaign.trials)),
            count(sum(row.samples for row in campaign.trials)),
            campaign.status,
        )
    console.print(table)
    console.print(f"[dim]{escape(path)}[/dim]   prony list ID: its trials   prony report ID")


def show_trials(console: Console, campaign: Campaign) -> None:
    """Prints one campaign's trials, in the order in which they were run."""
    console.print(
        f"[bold]{escape(campaign.title)}[/bold]  prony {campaign.verb} · {campaign.id} · {campaign.started_at} · "
        f"{campaign.status}"
    )
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("trial", justify="right")
    for name in ("what", "role"):
        table.add_column(name, overflow="fold")
    for name in ("start", "requests"):
        table.add_column(name, justify="right")
    table.add_column("status")
    for row in campaign.trials:
        table.add_row(row.id, escape(row.label), row.role, str(row.start), count(row.samples), row.status)
    console.print(table)
    if campaign.trials:
        console.print(f"[dim]prony report {campaign.trials[-1].id}[/dim]")
