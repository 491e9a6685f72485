"""`prony check`: looks at every page before any load, and says what is wrong, why, and what to write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

import prony
from prony.campaign.machine import machine
from prony.cli import options, output
from prony.plan import Plan
from prony.recording import now_text
from prony.stack.stack import Stack
from prony.traffic import learned
from prony.traffic.learned import LeftOut
from prony.visit.diagnosis import Finding
from prony.visit.results import Check, Checked
from prony.visit.survey import Survey, survey

LEFT_SHOWN = 12
FOR_OTHERS = {"login": "those who are logged in", "forbidden": "others than those who log in here"}


@click.command()
@options.several(options.project, options.sets, options.as_json, options.no_namespace, options.debug)
def check(
    *,
    project: Path,
    sets: tuple[str, ...],
    as_json: bool,
    no_namespace: bool,
    debug: bool,  # noqa: ARG001 - main() looks for it
) -> None:
    """Is every page right? Finds and visits them before any load, and says what is wrong, why, and what to write.

    The pages are those of [[traffic.request]]; where there are none, those that the app's routes and links lead to,
    without what may change or delete something. What right answers look like is kept, and holds during load.
    Ends with 0 when all are right, with 1 when one is not.

    \b
    Example:  prony check
              prony check --set traffic.host=shop.example.com
    """
    shown = output.Shown()
    started_at = now_text()
    plan = options.written_plan(project, sets, shown.say)
    place = options.own_place(options.project_folder(project))
    logs = place / "logs" / "check"
    for old in logs.glob("*.log"):
        old.unlink()
    with (
        shown.running(),
        Stack(logs, namespace=not no_namespace, own_folder=place, say=shown.say) as stack,
    ):
        if not stack.launcher.namespace:
            why = stack.launcher.why_no_namespace
            shown.say(f"Contained by the audit hook alone, which sees Python's own calls and no more: {why}.")
        shown.progress(f"starting {plan.title}", "", None)
        start = stack.boot(plan)
        found = survey(stack, start, plan, lambda text: shown.progress(_stage(text), text, None))
    kept = str(learned.save(place, found.learned)) if found.pages else ""
    document = _document(plan, found, started_at, kept)
    if as_json:
        output.print_json(document)
    else:
        _show(output.results(), document, str(logs))
    click.get_current_context().exit(0 if document.right else 1)


def _stage(text: str) -> str:
    """Without its numbers: where lines stay on the screen, one is enough for each part of the work."""
    return "logging in" if text.startswith("logging in") else text


def _document(plan: Plan, found: Survey, started_at: str, kept: str) -> Check:
    return Check(
        prony=prony.__version__,
        verb="check",
        started_at=started_at,
        machine=machine(),
        app=plan.app.entry,
        title=plan.title,
        framework=found.routes.framework,
        declared=plan.traffic.named,
        crawled=found.crawled,
        why=found.why,
        pages=found.pages,
        findings=found.findings,
        left_out=found.learned.left_out,
        right=found.right,
        learned=kept,
    )


# ---- for people


def _show(console: Console, document: Check, logs: str) -> None:
    wide = max((len(page.template) for page in document.pages), default=0)
    told: set[tuple[str, str]] = set()
    for page in document.pages:
        _show_page(console, page, min(wide, 60), told)
    if document.findings:
        console.print()
    for each in document.findings:
        _show_finding(console, each, "")
    _show_left_out(console, document.left_out)
    console.print()
    for line in _ending(document, logs):
        console.print(Text(line))


def _show_page(console: Console, page: Checked, wide: int, told: set[tuple[str, str]]) -> None:
    mark = ("✓", "green") if page.right else ("✗", "bold red")
    several = f" ({page.known} of them)" if page.known > 1 else ""
    figures = f"{page.status or '–'}  {page.type or '–'}  {_size(page.bytes)}  {page.took_s * 1000:.0f} ms"
    title = f"  “{page.title}”" if page.title else ""
    verb = "" if page.method == "GET" else f"{page.method} "
    console.print(
        Text.assemble(mark, f" {verb}{page.template.ljust(wide)}{several}  ", (figures, "dim"), title), soft_wrap=True
    )
    for each in page.findings:
        if (each.cause, each.text) in told:
            console.print(Text.assemble("    ", (each.cause, "red" if each.wrong else "yellow"), ": as above."))
            continue
        told.add((each.cause, each.text))
        _show_finding(console, each, "    ")


def _show_finding(console: Console, each: Finding, indent: str) -> None:
    style = "red" if each.wrong else "yellow"
    console.print(Text.assemble(indent, (f"{each.cause}: ", style), f"{each.text}."), soft_wrap=True)
    if each.remedy:
        console.print(Text.assemble(f"{indent}  → ", (each.remedy, "bold")), soft_wrap=True)


def _show_left_out(console: Console, left: Iterable[LeftOut]) -> None:
    alike: dict[tuple[str, str], list[LeftOut]] = {}
    for each in left:
        if each.reason not in {"redirect", *FOR_OTHERS}:  # the page that it leads to is in the mix; told at the end
            alike.setdefault((each.text, each.template.partition("/")[2].partition("/")[0]), []).append(each)
    if not alike:
        return
    console.print(Text("\nLeft out of the mix (to have one in, name its path under [[traffic.request]]):"))
    groups = list(alike.values())
    for group in groups[:LEFT_SHOWN]:
        first, more = group[0], len(group) - 1
        others = f", and {more} more under /{first.template.split('/')[1]}/" if more else ""
        key = f" → {first.remedy}" if "params" in first.remedy else ""
        console.print(Text.assemble(f"  {first.template}{others}: {first.text}", (key, "dim")), soft_wrap=True)
    unseen = sum(map(len, groups[LEFT_SHOWN:]))
    if unseen:
        console.print(f"  … and {unseen} more: prony check --json")


def _ending(document: Check, logs: str) -> Iterable[str]:
    wrong = sum(not page.right for page in document.pages)
    for reason, whom in FOR_OTHERS.items():
        inside = [each for each in document.left_out if each.reason == reason]
        if inside:
            more = f", and {len(inside) - LEFT_SHOWN} more" if len(inside) > LEFT_SHOWN else ""
            yield f"Only for {whom}, and so not in the mix: {', '.join(i.template for i in inside[:LEFT_SHOWN])}{more}."
            formed = (i.remedy for i in inside if 'page = "' in i.remedy)
            yield f"  → {next(formed, inside[0].remedy)}"
    if not document.pages:
        yield 'No page was found that can be visited: name one, [[traffic.request]] path = "/…".'
        return
    count = len(document.pages)
    whole = f"{count} page{'' if count == 1 else 's'}"
    how = "" if document.declared else f", found by the app's routes and {document.crawled} pages' links"
    bound = f" (ended at {document.why})" if document.why else ""
    yield f"{whole}{how}{bound}: {'all are right' if not wrong else f'{wrong} not right'}."
    yield f"What right answers look like is kept in {document.learned}."
    yield "Next: prony run" if not wrong else f"Mend these, or name the pages you want; logs: {logs}. Then: prony check"


def _size(count: int) -> str:
    return f"{count} B" if count < 10_000 else f"{count / 1024:.0f} kB"
