"""`prony compare`: which of two or more plans is better, figure by figure, and with what certainty."""

from __future__ import annotations

import secrets
from typing import Any

import click
from msgspec import structs

from prony.campaign import compare as campaign
from prony.campaign import warming
from prony.campaign.bench import Bench
from prony.campaign.find import INTERRUPTED, ending, saturate
from prony.cli import alone, comparing, options, output, sides
from prony.comparison import Contest
from prony.document import Document
from prony.errors import PronyError
from prony.report import terminal


@click.command()
@options.several(
    click.argument("sides", nargs=-1, metavar="[A B [C...]]"),
    options.project,
    click.option(
        "--with", "changes", multiple=True, metavar="NAME=VALUE,...", help="Compare the project with this; repeatable."
    ),
    comparing.starts,
    comparing.trial(),
    comparing.rate("", "the slowest one's"),
    click.option("--seed", type=click.IntRange(0), help="Of the order of starts; default: drawn, and recorded."),
    click.option(
        "--one-at-a-time",
        "apart",
        is_flag=True,
        help="One start after the other. Default: a round's starts run beside each other, where they can, and are "
        "loaded by turns, some four a second.",
    ),
    alone.sent_options,
    comparing.ends,
)
def compare(**given: Any) -> None:
    """Which is better, figure by figure: better, worse, or a tie with the smallest difference that could be seen.

    Each of A, B, ... is a folder with a prony.toml, git:REVISION of the project, a recording's number as prony list
    shows it (its plan is measured afresh), or the URL of something that runs already.

    \b
    Example:  prony compare --with server.workers=5
              prony compare git:main git:HEAD
              prony compare ../one ../other --starts 40
              prony compare run:3 run:5
              prony compare http://127.0.0.1:8001/ http://127.0.0.1:8002/
    """
    if not given["changes"] and len(given["sides"]) < 2:
        raise click.UsageError(
            f"found {len(given['sides'])} plans to compare; allowed: two or more folders, git:REVISION, recordings or "
            "URLs, or --with NAME=VALUE."
        )
    shown = output.Shown()
    with sides.opened(given, shown) as found:
        for _, plan in found:
            comparing.check(plan)
        document, cut = _compared(found, given, shown)
    if given["as_json"]:
        output.print_json(document)
    else:
        terminal.show(output.results(), document, {})
    if found[0].plan.destination is not None:
        alone.tell_where(given, document.campaign)
    if cut is not None:
        raise cut  # what was known when it ended the comparison has been told
    believed = any(gain.verdict != "unknown" for each in document.comparisons for gain in each.gains)
    click.get_current_context().exit(0 if believed else 4)


def _compared(
    found: list[sides.Side], given: dict[str, Any], shown: output.Shown
) -> tuple[Document, KeyboardInterrupt | PronyError | None]:
    """The campaign, its document, and what cut it short after a round at least: what is known by then is kept."""
    names = [each.name for each in found]
    beside = found[0].plan.destination is not None
    title = " against ".join(names)
    bench: Bench
    if beside:
        found = sides.arrived(found, shown.say)
        bench, _ = alone.bench("compare", found[0].plan, given, shown, title)
    else:
        store, place = options.open_store(options.project_folder(given["project"]))
        stacks = 1 if given["apart"] else len(found)
        bench = Bench(store, "compare", title, place, shown, namespace=not given["no_namespace"], stacks=stacks)
    trial_s = given["trial"] or comparing.TRIAL_S
    contest = Contest(
        len(found),
        most=given["starts"],
        seed=secrets.randbelow(10**6) if given["seed"] is None else given["seed"],
        figures=campaign.SEEN if beside else campaign.FIGURES,
        higher_is_better=campaign.HIGHER_IS_BETTER,
        follows=campaign.FOLLOWS,
    )
    cut: KeyboardInterrupt | PronyError | None = None
    with shown.running(), bench:
        plans = campaign.learned(bench, [each.plan for each in found])
        pace = campaign.pace_of(bench, plans, trial_s, saturate if beside else warming.calibrate)
        answer_s = None if given["apart"] else campaign.answer_s_of_turns(bench, plans, pace)
        try:
            comparing.hold(
                bench,
                contest,
                list(zip(names, plans, strict=True)),
                shown,
                rate_rps=given["rate"] or pace.rate_rps,
                trial_s=trial_s,
                answer_s=answer_s,
            )
        except (KeyboardInterrupt, PronyError) as error:
            if not contest.round:
                raise
            contest.close()
            cut = error
        why = "" if cut is None else ending(cut)
        document = bench.document(comparisons=campaign.comparisons(contest, names, fresh=not beside, why=why))
        if cut is not None:
            document = structs.replace(document, status=INTERRUPTED)
        bench.conclude(document)
    return document, cut
