"""A running start and a plan with pages that were learned before in, whether they are still there out."""

from __future__ import annotations

from collections.abc import Callable

from prony.plan import Plan
from prony.stack.stack import Stack, Start
from prony.visit.browser import Browser
from prony.visit.login import as_visitor, log_in


def still_there(stack: Stack, start: Start, plan: Plan, say: Callable[[str], None] = lambda _: None) -> bool:
    """Whether each route that stands for rows of the database finds the first of them.

    Data that `prepare` makes anew for each stack may have other keys each time, such as random UUIDs.
    """
    routes = [request for request in plan.traffic.requests if request.paths]
    who = next(iter(log_in(stack, start, plan, say)), None) if routes else None
    with Browser(stack.launcher, start.port, plan.traffic) as browser:
        visitor = browser.visitor() if who is None else as_visitor(browser, who)
        return all(visitor.ask(each.method, each.paths[0]).status != 404 for each in routes)
