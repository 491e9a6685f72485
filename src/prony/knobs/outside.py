"""An outside service's knobs: what [services.NAME] takes, and what can be changed while it runs."""

from __future__ import annotations

from prony.knobs import Knob

OUTSIDE = (
    Knob(
        "services.NAME.latency",
        "outside",
        "duration",
        0.1,
        "How long an answer takes, as the median. While the app waits, a worker or thread of it is held.",
        0,
        600,
    ),
    Knob(
        "services.NAME.spread",
        "outside",
        "number",
        0.0,
        "How unlike the answers' times are: sigma of a lognormal distribution. 0 makes all alike; with 0.5 one in a "
        "hundred takes 3.2 times the median, with 1 it takes 10 times.",
        0,
        3,
    ),
    Knob("services.NAME.errors", "outside", "share", 0.0, "Share of requests that are answered with an error.", 0, 1),
    Knob("services.NAME.error_status", "outside", "integer", 503, "The status of these errors.", 400, 599),
    Knob(
        "services.NAME.events",
        "outside",
        "integer",
        10,
        "Events in a stream: what is asked for below /stream, or with Accept: text/event-stream, is streamed.",
        0,
        1_000_000,
    ),
    Knob("services.NAME.every", "outside", "duration", 1.0, "Time from one event of a stream to the next.", 0, 600),
    Knob("services.NAME.body_bytes", "outside", "bytes", 0, "Least size of an answer's body.", 0, 16 * 1024**2),
    Knob(
        "services.NAME.connections",
        "outside",
        "integer",
        0,
        "Requests that it serves at once, the others wait; 0: all of them. A service with a limit slows down, one "
        "without it does not.",
        0,
        1_000_000,
    ),
    Knob("services.NAME.seed", "outside", "integer", 1, "Seed of times and errors.", 0, 2**31),
)
