"""A running start and its plan in, what is watched of it and what is to be said of every trial on it out."""

from __future__ import annotations

import time

from prony.plan import Plan
from prony.probes import logs
from prony.probes.app import Workers
from prony.probes.box import BoxProbe
from prony.probes.canary import canary
from prony.probes.listen import ListenQueue
from prony.probes.processes import Account, Host, Tree
from prony.probes.sampler import Probe
from prony.recording import Event, Reading
from prony.stack.stack import Stack, Start
from prony.trial import services

QUICK_S = 0.05


def probes(stack: Stack, start: Start, workers: Workers, listen: ListenQueue) -> list[Probe]:
    """Everything that is watched: the gauge, the CPU and the listen queue at 50 ms, all else each second.

    Connections to services are made here, before the load comes.
    """
    host = Host(stack.cores.stack)
    found = [
        Probe("gauge", QUICK_S, workers.levels),
        Probe("gauge counters", 1.0, workers.counters),
        Probe("listen queue", QUICK_S, listen.length),
        Probe("listen overflows", 1.0, listen.overflows),
        Probe("host pressure", 1.0, host.rest),
    ]
    trees = []
    for tier, processes in stack.watched():
        tree = Tree(tier, *(process.pid for process in processes))
        trees.append(tree)
        found.append(Probe(f"{tier} processes", 1.0, tree.rest))
        patterns = logs.PATTERNS.get(tier, logs.APP)
        if tier == "database" and stack.postgres is not None:
            patterns = logs.POSTGRES
        paths = dict.fromkeys(process.log for process in processes)
        found += [Probe(f"{tier} log", 1.0, logs.Log(tier, path, patterns).read) for path in paths]
    for name, box in stack.ground.boxes.items():
        if box["paths"]:
            found.append(Probe(f"box {name}", 1.0, BoxProbe(f"box.{name}", box["paths"]).read))
    account = Account(host, trees)
    found.append(Probe("CPU account", QUICK_S, account.read, close=account.close))
    return [*found, *services.probes(stack, start)]


def cpu_s(stack: Stack) -> float:
    """CPU seconds that the processes of all tiers on the stack's cores have used so far."""
    tiers = [each for each in stack.watched() if not each.tier.startswith("outside.")]
    total = 0.0
    for each in tiers:
        tree = Tree(each.tier, *(process.pid for process in each.processes))
        total += sum(reading.value for reading in tree.cpu())
        tree.close()
    return total


def about(stack: Stack, start: Start, plan: Plan) -> list[Event]:
    """What is to be said of every trial on this machine and this plan."""
    now_ns = time.monotonic_ns()
    found = [Event(now_ns, "versions", name, text) for name, text in _versions(start).items()]
    if stack.cores.shared:
        found.append(Event(now_ns, "one_core", "host", "the generator and the stack share a core"))
    elif plan.stores:
        names = ", ".join(str(core) for core in stack.cores.stack)
        found.append(Event(now_ns, "shared_core", "host", f"app and {', '.join(plan.stores)} share core {names}"))
    if not plan.stores:
        found.append(Event(now_ns, "no_store", "app", "no store of prony's own behind the app"))
    if not stack.launcher.namespace:
        found.append(Event(now_ns, "hook_only", "host", stack.launcher.why_no_namespace))
    if not plan.traffic.declared:
        found.append(Event(now_ns, "mix_guessed", "traffic", _guessed(plan)))
    found += [Event(now_ns, remark.kind, remark.tier, remark.text) for remark in stack.remarks]
    return found


def _guessed(plan: Plan) -> str:
    count = len(plan.traffic.requests)
    return f"{count} pages, each asked for equally often" if count > 1 else f"only {plan.traffic.requests[0].path}"


def _versions(start: Start) -> dict[str, str]:
    """What runs, by tier: programs and the distributions in the app's interpreter, and where its server comes from."""
    found = dict(start.versions)
    for name, checked in start.checked.items():
        texts = [f"Python {checked.python}", *(f"{each} {version}" for each, version in checked.versions.items())]
        found[name] = ", ".join(texts) + (", its server from an overlay" if checked.overlay else "")
    return found


def canaries(stack: Stack) -> list[Reading]:
    """The canary, timed on the stack's cores and on the generator's."""
    return [*canary("stack", stack.cores.stack), *canary("generator", stack.cores.generator)]
