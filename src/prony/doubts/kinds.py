"""The closed list of reasons to distrust a trial's figures: what each means, what it voids, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

LATENCY = ("latency_s", "service_time_s")


class Doubt(Struct, frozen=True, kw_only=True):
    """A reason to distrust figures of one trial.

    Attributes:
        name: From the closed list `KINDS`.
        kind: A note informs; a void makes the figures in `voids` null.
        voids: Dotted figure names such as "latency_s.p99"; "gauged", the tables by route, statement, host and cache
            command; or "all".
        text: The figures that raised it.
        todo: What to do about it.
    """

    name: str
    kind: Literal["note", "void"]
    voids: tuple[str, ...]
    text: str
    todo: str
    trial: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of doubt: what it means, what it voids (nothing: a note), and what to do."""

    name: str
    means: str
    todo: str
    voids: tuple[str, ...] = ()


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "sent_short",
            "Fewer requests were sent than were due.",
            "Lower the rate, or free the generator's core.",
            ("all",),
        ),
        Kind(
            "late_sends",
            "The generator sent late: send lag p99 over 1 ms and over 5 % of the median latency.",
            "Close what else runs on this machine, or lower the rate.",
            LATENCY,
        ),
        Kind(
            "uneven_sends",
            "Requests were not sent as their arrivals were asked for: in bins of 10 ms they are spread over 5 % more, "
            "or less, unevenly than the schedule (of even ones: than 5 % of what chance would do).",
            "Close what else runs on this machine, or lower the rate.",
            LATENCY,
        ),
        Kind(
            "generator_busy",
            "The generator used over 80 % of its core.",
            "Lower the rate: the limit found is ours.",
            ("all",),
        ),
        Kind(
            "generator_exhausted",
            "The generator ran out of ports or descriptors: requests failed on our side.",
            "Lower the rate or the number of users, or raise the limit on open files.",
            ("all",),
        ),
        Kind(
            "generator_near_limit",
            "The rate is over 80 % of what this machine's generator could send when `prony doctor` tried.",
            "Lower the rate; more cores for the generator raise it.",
        ),
        Kind(
            "generator_near_exhaustion",
            "Over 80 % of the generator's ports or descriptors were taken.",
            "Keep connections alive, lower the rate, or raise the limit on open files.",
        ),
        Kind(
            "few_samples",
            "Too few answers for a quantile: p99 wants 400, p99.9 wants 4 000.",
            "Run for longer, or read a lower quantile.",
            LATENCY,
        ),
        Kind(
            "backlog_growing",
            "Requests came faster than they were served: latencies then measure how long the test ran.",
            "Read the growth and the rate achieved; for latencies, offer less.",
            LATENCY,
        ),
        Kind(
            "nothing_valid",
            "Fewer than 1 % of the answers were right: their latency is not the app's.",
            "Look at the statuses and the app's log; is its data there?",
            (*LATENCY, "achieved_rps"),
        ),
        Kind(
            "canary_moved",
            "A fixed piece of work took over 15 % longer or shorter after the trial than before.",
            "Repeat when the machine is calm.",
        ),
        Kind(
            "memory_moved",
            "A fixed walk over memory took over 15 % longer or shorter after the trial than before: others, such as "
            "guests of the same host, share the caches.",
            "Repeat when the machine is calm; trust intervals rather than single trials.",
        ),
        Kind(
            "steal",
            "Over 2 % of the cores' time went to other guests of the host.",
            "Repeat at another time, or on another host.",
        ),
        Kind(
            "neighbours",
            "Programs that are not the stack's used over a quarter of a core on the stack's cores.",
            "Stop them, or repeat when the machine is calm.",
        ),
        Kind(
            "memory_short",
            "For over 1 % of the time something on this machine waited for memory: pages were fetched from disk anew.",
            "Fewer workers, smaller stores, or a machine with more memory.",
        ),
        Kind(
            "box_periods",
            "A box had to stop at its quota, and the median latency is below three of its scheduler's periods "
            "(0.1 s each, unless it says so): how the quota is dealt out shapes it.",
            "Read latencies beside the box's throttling, or give it whole cores.",
        ),
        Kind(
            "turns_overlap",
            "Of plans that take turns, this one's answers ran into the others' turns: over 5 % of their time.",
            "Compare with --one-at-a-time.",
            ("all",),
        ),
        Kind("cut_off", "The trial was ended before its time.", "Run it again for the whole of it."),
        Kind(
            "shared_core",
            "App and stores share their cores: a busy store slows the app.",
            "Use a machine with more cores to part them.",
        ),
        Kind("one_core", "Generator and app share a core: capacity is only ever 'at least'.", "Use two cores or more."),
        Kind(
            "hook_only",
            "No network namespace could be made: only the audit hook contains the app's Python code.",
            "Allow user namespaces, or run as root.",
        ),
        Kind(
            "no_store",
            "No [stores.NAME] is declared: what the app writes is not restored between starts.",
            "Declare it, or make sure that the app's data may be written to.",
        ),
        Kind(
            "own_store",
            "A store is the user's own: it was not prepared, is not restored between starts, and may serve others.",
            "Let prony start one (kind = postgres, ...) where starts are to be compared.",
        ),
        Kind(
            "folder_written",
            "What the app writes into its folder reached the project's own files, and stays from start to start.",
            "Run as root or where user namespaces are allowed, so that the folder can be covered; or work on a copy.",
        ),
        Kind(
            "box_not_held",
            "A box could not be made by the kernel's cgroups: its limits are only approached, by cores and rlimits.",
            "Run as root, or where cgroups are delegated to you (systemd --user).",
            ("achieved_rps", *LATENCY),
        ),
        Kind(
            "box_beyond_cores",
            "A box has more CPUs than the stack has cores here: what it could do with the rest was not seen.",
            "Use a machine with more cores, or a smaller box.",
        ),
        Kind(
            "egress_closed",
            "Hosts opened under [app] egress could not be named in the stack's network: they stayed closed.",
            "Run as root, or with --no-namespace.",
        ),
        Kind("probe_failed", "A source of readings failed: figures of it are missing.", "Look at its message."),
        Kind(
            "probe_slow",
            "A source of readings took over half of its period in over 5 % of the looks: there are gaps between them.",
            "Read its figures as rough ones; a service that is overloaded answers late.",
        ),
        Kind(
            "probes_costly",
            "Looking used over 2 % of a core.",
            "Repeat on a machine with more cores; many processes and a long log cost most.",
        ),
        Kind(
            "gauge_silent",
            "The gauge gave no readings: busy workers cannot be told from other waits.",
            "Look at the app's log.",
        ),
        Kind(
            "gauge_lost",
            "The gauge's records were overwritten unread: what is told by route, statement, call is of a part, and of "
            "more than one record in a hundred requests it is void.",
            "Lower the rate, or repeat when the machine is calm.",
            ("gauged",),
        ),
        Kind(
            "hook_off",
            "A hook of the gauge failed and switched itself off: of that library it tells too little, or nothing.",
            "Report it to prony with the versions of the app's libraries.",
        ),
        Kind(
            "not_watched",
            "prony did not start what was loaded: what stands behind it was not watched, nothing was restored between "
            "trials, and its settings are not known.",
            "Describe it in a prony.toml (prony init) to see which tier gives out.",
        ),
        Kind(
            "app_reached_out",
            "The app tried to reach hosts outside its stack, and was refused.",
            "Name a host under egress ([app] egress = [...]), or stand in a service of ours ([services.NAME]).",
        ),
        Kind(
            "mix_guessed",
            "The mix is guessed: visitors do not ask for each page equally often. Rates and latencies over all pages "
            "depend on the mix; each route's own cost does not.",
            "Declare [[traffic.request]] with weights, or take the mix from a log: prony import access.log.",
        ),
        Kind(
            "journey_raised",
            "A journey's own code raised: its runs ended there, and what would have come after was not asked for.",
            "Correct the journey at that line.",
        ),
        Kind(
            "journey_remark",
            "Something about the journeys is to be known.",
            "Look at what it says; docs/howto/journeys.md.",
        ),
    )
}
