"""What a generator process says of its load, as JSON: its state about once a second, and its account at the end."""

from __future__ import annotations

import msgspec


class LoadTick(msgspec.Struct, frozen=True, tag_field="kind", tag="tick"):
    """The state of a load, about once a second.

    Attributes:
        t_ns: When (monotonic).
        scheduled: Requests due so far.
        sent: Requests acted on so far: connecting or written.
        done: Requests ended so far, rightly or not.
        in_flight: Sent and not ended.
        waiting: Due, and waiting for a connection.
        connections_opened: Connections begun so far.
        cpu_s: CPU time of this process since just before the first due time.
        ports_share: The share of local ports that are taken, by connections and what remains of closed ones; of one
            shard, its part of that.
        descriptors_share: The share of this process's descriptors that connections take.
        routes: The names of routes that journeys' steps have added since the last tick, by number.
        cores: How many cores the processes have that this is the state of: one of them has one at most.
    """

    t_ns: int
    scheduled: int
    sent: int
    done: int
    in_flight: int
    waiting: int
    connections_opened: int
    cpu_s: float
    ports_share: float = 0.0
    descriptors_share: float = 0.0
    routes: dict[int, str] = {}
    cores: int = 1


class LoadResult(msgspec.Struct, frozen=True, tag_field="kind", tag="result"):
    """A load that has ended: the samples in its segment are `scheduled` in number, one for every request due.

    Attributes:
        started_ns: The start of the sending window (monotonic), from which due times count.
        ended_ns: The end of the sending window.
        drained_ns: When the last answer had come, or was waited for no longer.
        scheduled: Requests that became due.
        sent: Requests acted on: connecting or written.
        done: Requests ended, rightly or not; without `unanswered` and `not_sent`.
        connections_opened: Connections begun.
        retried: Requests sent a second time, since the server closed a kept connection just as they were written.
        cpu_s: CPU time of this process from just before the first due time to `drained_ns`.
        cpu_share: `cpu_s` over the wall time of the same stretch: 1 is one core.
        lag_p50_s: Median of sent - due over the requests sent. Steps of 1 µs, of 1 ms above 67 ms.
        lag_p99_s: The 99th percentile of the same. 0 where nothing was sent.
        interrupted: Whether it was told to stop before its time.
        failed_checks: Why answers were `check_failed`: the first thing each of them lacked, and how often. Of journeys
            also what their own code raised.
        routes: The names of all routes that journeys' steps have added to those of the requests, by number.
        remarks: What else is to be said of journeys, a sentence each.
        lags: Of one shard of several: how many requests were sent how late, by `prony.load.segment`'s bins.
        cores: As in `LoadTick`.
    """

    started_ns: int
    ended_ns: int
    drained_ns: int
    scheduled: int
    sent: int
    done: int
    connections_opened: int
    retried: int
    cpu_s: float
    cpu_share: float
    lag_p50_s: float
    lag_p99_s: float
    interrupted: bool
    failed_checks: dict[str, int] = {}
    routes: dict[int, str] = {}
    remarks: tuple[str, ...] = ()
    lags: dict[int, int] = {}
    cores: int = 1
