"""How the engine sends, against real sockets: TLS, connections, redirects, retries, time limits, streams, shards."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from prony.load.account import LoadResult
from prony.load.journeys import JourneyLoad
from prony.load.retrying import RetryLoad
from prony.load.spec import Expectation, RequestSpec, StreamSpec
from prony.samples import EVENT_GAP, FIRST_EVENT, REQUEST, Samples, from_bytes
from prony.stack.folders import run_folder
from prony.stack.launch import Launcher
from prony.stack.services.nginx import certify
from prony.trial.generators import Generators
from tests.stack.engine_case import get, load, outcomes, planted, server_counts, spec_of

pytestmark = pytest.mark.alone


@pytest.fixture
def port() -> Iterator[int]:
    with planted() as port:
        yield port


@pytest.fixture
def tls_port(tmp_path: Path) -> Iterator[int]:
    certify(tmp_path / "certificate.pem", tmp_path / "key.pem")
    with planted(str(tmp_path)) as port:
        yield port


# ---- connections


def test_each_request_can_have_a_connection_of_its_own(port: int, tmp_path: Path) -> None:
    result, samples = load(port, tmp_path, get("/ok"), keep_alive=False)
    assert outcomes(samples) == {"ok": 40}
    assert result.connections_opened == 40
    assert server_counts(port)["connections"] == 41


@pytest.mark.parametrize(
    ("request_", "outcome"),
    [
        (get("/ok", contains="hello world"), "ok"),
        (get("/body/300000", contains="zzz"), "ok"),
        (get("/chunked", contains="hello world"), "ok"),
        (get("/lengthless", contains="hello world"), "ok"),
        (get("/status/500"), "wrong_status"),
        (get("/cut"), "reset"),
        (get("/hang"), "timeout"),
    ],
    ids=lambda value: value.path if isinstance(value, RequestSpec) else value,
)
def test_https_ends_as_http_does(tls_port: int, tmp_path: Path, request_: RequestSpec, outcome: str) -> None:
    result, samples = load(tls_port, tmp_path, request_, https=True, timeout_s=1.0, rate_rps=100.0)
    assert outcomes(samples) == {outcome: 20}
    if outcome == "ok":
        assert (samples["first_byte_ns"] > samples["sent_ns"]).all()
    if request_.path == "/ok":
        assert result.connections_opened < 20, "connections are used again"


def test_a_closed_loop_over_https_reads_large_answers_whole(tls_port: int, tmp_path: Path) -> None:
    big, small = get("/body/200000"), get("/ok")
    _, samples = load(tls_port, tmp_path, big, small, https=True, arrivals="closed", users=5, duration_s=0.5)
    assert set(outcomes(samples)) == {"ok"}
    assert (samples["bytes"][samples["route"] == 0] > 200_000).all()
    assert len(samples) > 20


def test_https_to_a_server_that_speaks_http_is_an_outcome(port: int, tmp_path: Path) -> None:
    _, samples = load(port, tmp_path, get("/ok"), https=True, timeout_s=0.5)
    assert set(outcomes(samples)) <= {"reset", "timeout", "connect_timeout"}
    assert len(samples) == 40


# ---- redirects


@pytest.mark.parametrize(("hops", "outcome"), [(1, "ok"), (3, "ok"), (5, "ok"), (6, "check_failed")])
def test_redirects_are_followed_each_a_sample_of_one_arrival(
    port: int, tmp_path: Path, hops: int, outcome: str
) -> None:
    asked = structs.replace(get(f"/moved/{hops}", contains="hello world"), name="page", redirects=True)
    result, samples = load(port, tmp_path, asked, kind=JourneyLoad, rate_rps=50.0)
    assert len(samples) == 10 * (min(hops, 5) + 1)
    for arrival in np.unique(samples["arrival"]):
        chain = samples[samples["arrival"] == arrival]
        chain.sort(order="due_ns")
        assert chain["status"].tolist() == [302] * min(hops, 5) + [200 if hops < 6 else 302]
        assert (chain["due_ns"][1:] == chain["done_ns"][:-1]).all(), "each is due when the one before has ended"
    assert set(outcomes(samples[samples["status"] == 200])) <= {"ok"}
    assert outcome in outcomes(samples)
    told = set() if hops < 6 else {"/moved/{id}: more than 5 redirects, one after the other"}
    assert result.failed_checks.keys() == told
    assert server_counts(port)["requests"] == len(samples) + 1


def test_what_is_expected_is_looked_for_at_the_end_of_the_redirects(port: int, tmp_path: Path) -> None:
    asked = structs.replace(get("/moved/2", contains="good-bye"), redirects=True)
    result, samples = load(port, tmp_path, asked, kind=JourneyLoad, rate_rps=50.0)
    assert outcomes(samples[samples["status"] == 200]) == {"check_failed": 10}
    assert result.failed_checks == {'/ok: the body does not contain "good-bye"': 10}


@pytest.mark.parametrize(
    ("expected", "size", "lacked"),
    [
        (Expectation(contains="zzz", min_bytes=1_500_000, max_bytes=2_000_000), 2_000_000, None),
        (Expectation(matches="z{9}"), 2_000_000, None),
        (Expectation(max_bytes=500_000), 2_000_000, "the body has more than 500000 bytes"),
        (Expectation(min_bytes=2_000_001), 2_000_000, "the body has fewer than 2000001 bytes"),
        (Expectation(contains="y"), 2_000_000, 'the body does not contain "y"'),
        (Expectation(contains="z", min_bytes=5_000_000), 5_000_000, None),
        (Expectation(matches="z"), 5_000_000, "the body was not kept: it is over 4 MiB, or too many were at one time"),
    ],
    ids=lambda value: None if isinstance(value, int) else "-".join(str(value).split()[:4])[:40],
)
def test_a_long_body_at_the_end_of_redirects_is_judged_as_any_other(
    port: int, tmp_path: Path, expected: Expectation, size: int, lacked: str | None
) -> None:
    asked = RequestSpec(path=f"/moved/big/{size}", expect=expected, redirects=True)
    result, samples = load(port, tmp_path, asked, kind=JourneyLoad, rate_rps=10.0)
    assert outcomes(samples[samples["status"] == 200]) == {"check_failed" if lacked else "ok": 2}
    assert result.failed_checks == ({f"/body/{{id}}: {lacked}": 2} if lacked else {})
    (tmp_path / "segment").unlink()
    straight, _ = load(port, tmp_path, RequestSpec(path=f"/body/{size}", expect=expected), rate_rps=10.0)
    assert straight.failed_checks == ({f"/body/{size}: {lacked}": 2} if lacked else {})


def test_a_redirect_to_another_host_is_not_followed(port: int, tmp_path: Path) -> None:
    result, samples = load(
        port, tmp_path, structs.replace(get("/moved/away"), redirects=True), kind=JourneyLoad, rate_rps=50.0
    )
    assert outcomes(samples) == {"check_failed": 10}
    assert "redirects out of the stack, to 198.51.100.7" in next(iter(result.failed_checks))


# ---- retries


@pytest.mark.parametrize("how", ["503", "429", "close"])
def test_what_failed_is_tried_again_after_a_pause_as_a_sample_of_the_same_arrival(
    port: int, tmp_path: Path, how: str
) -> None:
    fields: dict[str, Any] = {"kind": RetryLoad, "retries": 1, "backoff_s": 0.05, "rate_rps": 20.0, "duration_s": 1.0}
    _, samples = load(port, tmp_path, get(f"/flaky/{how}"), connections=1, **fields)
    first, again = samples[samples["attempt"] == 0], samples[samples["attempt"] == 1]
    failed = first[first["outcome"] != 0]
    assert len(again) > 3
    assert set(again["arrival"]) <= set(failed["arrival"])
    for retry in again:
        (before,) = failed[failed["arrival"] == retry["arrival"]]
        assert 25_000_000 <= retry["due_ns"] - before["done_ns"] <= 50_000_000


def test_no_more_is_tried_than_was_asked_for_and_each_pause_is_twice_the_last(port: int, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"kind": RetryLoad, "retries": 3, "backoff_s": 0.02, "rate_rps": 5.0, "duration_s": 1.0}
    _, samples = load(port, tmp_path, get("/status/503"), **fields)
    assert samples["attempt"].max() == 3
    whole = [samples[samples["arrival"] == arrival] for arrival in (0, 1, 2)]
    for tries in whole:
        tries.sort(order="attempt")
        assert tries["attempt"].tolist() == [0, 1, 2, 3]
        pauses = (tries["due_ns"][1:] - tries["done_ns"][:-1]) / 1e9
        assert all(0.01 * 2**n <= pause <= 0.02 * 2**n for n, pause in enumerate(pauses))


def test_a_users_next_turn_waits_for_the_last_try(port: int, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"kind": RetryLoad, "retries": 2, "backoff_s": 0.02, "arrivals": "closed", "users": 1}
    _, samples = load(port, tmp_path, get("/status/503"), duration_s=0.5, **fields)
    assert (np.diff(samples["arrival"].astype(int)) >= 0).all()
    assert (samples["sent_ns"][1:] >= samples["done_ns"][:-1]).all(), "never two of one user's at a time"


@pytest.mark.parametrize("request_", [get("/status/503", method="POST"), get("/status/500"), get("/status/503", 503)])
def test_what_is_not_idempotent_not_a_matter_of_load_or_right_is_not_tried_again(
    port: int, tmp_path: Path, request_: RequestSpec
) -> None:
    _, samples = load(port, tmp_path, request_, kind=RetryLoad, retries=3, backoff_s=0.01)
    assert samples["attempt"].max() == 0
    assert len(samples) == 40


def test_a_refused_connection_is_tried_again(tmp_path: Path) -> None:
    with planted() as port:
        pass
    _, samples = load(port, tmp_path, get("/ok"), kind=RetryLoad, retries=1, backoff_s=0.01, rate_rps=50.0)
    assert set(outcomes(samples)) == {"refused"}
    assert (samples["attempt"] == 1).sum() >= 5


# ---- time limits


def test_each_time_limit_has_its_outcome(port: int, tmp_path: Path) -> None:
    limits: dict[str, Any] = {"first_byte_timeout_s": 0.15, "timeout_s": 0.5, "rate_rps": 50.0}
    _, samples = load(port, tmp_path, get("/hang"), **limits)
    assert outcomes(samples) == {"first_byte_timeout": 10}
    (tmp_path / "segment").unlink()
    _, samples = load(port, tmp_path, get("/half"), **limits)
    assert outcomes(samples) == {"timeout": 10}


def test_a_connection_that_does_not_come_about_has_an_outcome_of_its_own(tmp_path: Path) -> None:
    """A listener that accepts and says nothing: TLS is never agreed upon."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        _, samples = load(port, tmp_path, get("/ok"), https=True, connect_timeout_s=0.1, timeout_s=1.0, rate_rps=50.0)
    assert outcomes(samples) == {"connect_timeout": 10}


# ---- streams


def stream(path: str, **fields: Any) -> RequestSpec:
    return RequestSpec(path=path, stream=StreamSpec(**fields))


def parted(folder: Path) -> tuple[Samples, Samples, Samples]:
    rows = from_bytes((folder / "segment").read_bytes())
    return tuple(rows[rows["kind"] == kind] for kind in (REQUEST, FIRST_EVENT, EVENT_GAP))


def test_of_a_stream_the_time_to_its_first_event_and_the_gaps_are_told(port: int, tmp_path: Path) -> None:
    load(port, tmp_path, stream("/events/5"), rate_rps=50.0)
    requests, first, gaps = parted(tmp_path)
    assert outcomes(requests) == {"ok": 10}
    assert len(first) == 10
    assert len(gaps) == 40
    assert (first["due_ns"] == np.sort(requests["due_ns"])).all()
    assert set(gaps["arrival"]) == set(requests["arrival"])
    gap_s = (gaps["done_ns"] - gaps["due_ns"]) / 1e9
    assert 0.009 < np.median(gap_s) < 0.1


@pytest.mark.parametrize(("fields", "least", "most"), [({"events": 3}, 3, 3), ({"for_s": 0.15}, 2, 40), ({}, 2, 60)])
def test_an_endless_stream_is_read_for_as_long_as_was_asked_for_and_was_right(
    port: int, tmp_path: Path, fields: dict[str, Any], least: int, most: int
) -> None:
    result, _ = load(port, tmp_path, stream("/events/endless", **fields), rate_rps=20.0, duration_s=0.5)
    requests, first, gaps = parted(tmp_path)
    assert outcomes(requests) == {"ok": 10}
    events = [1 + int((gaps["arrival"] == arrival).sum()) for arrival in first["arrival"]]
    assert all(least <= count <= most for count in events)
    assert result.drained_ns - result.ended_ns < 2e9, "it was not waited for to the end of the drain"


def test_what_comes_in_pieces_counts_by_the_piece(port: int, tmp_path: Path) -> None:
    load(port, tmp_path, stream("/pieces"), rate_rps=50.0)
    requests, first, gaps = parted(tmp_path)
    assert outcomes(requests) == {"ok": 10}
    assert (len(first), len(gaps)) == (10, 10)


def test_a_stream_without_events_or_with_a_wrong_status_is_not_right(port: int, tmp_path: Path) -> None:
    result, samples = load(port, tmp_path, stream("/status/200"), rate_rps=50.0)
    assert outcomes(samples) == {"check_failed": 10}
    assert result.failed_checks == {"a stream ended without an event": 10}
    (tmp_path / "segment").unlink()
    load(port, tmp_path, stream("/status/503"), rate_rps=50.0)
    requests, first, _ = parted(tmp_path)
    assert outcomes(requests) == {"wrong_status": 10}
    assert len(first) == 0


@pytest.mark.parametrize("fields", [{"for_s": 0.1}, {"events": 3}, {}])
@pytest.mark.parametrize(
    ("expected", "lacked"),
    [
        (Expectation(type="text/event-stream"), None),
        (Expectation(type="text/html"), "the type is not text/html"),
        (Expectation(header={"X-Cache": "*"}), "no field X-Cache"),
    ],
    ids=["right", "type", "header"],
)
def test_a_stream_is_judged_by_its_fields_however_it_ends(
    port: int, tmp_path: Path, fields: dict[str, Any], expected: Expectation, lacked: str | None
) -> None:
    asked = structs.replace(stream("/events/endless", **fields), expect=expected)
    result, _ = load(port, tmp_path, asked, rate_rps=20.0, duration_s=0.5)
    requests, first, _ = parted(tmp_path)
    assert len(first) == 10
    assert outcomes(requests) == {"check_failed" if lacked else "ok": 10}
    assert result.failed_checks == ({f"/events/endless: {lacked}": 10} if lacked else {})


@pytest.mark.parametrize(
    ("fields", "limits", "outcome"),
    [
        ({"for_s": 0.1}, {}, "check_failed"),
        ({}, {"timeout_s": 0.3}, "check_failed"),
        ({}, {"drain_s": 0.3}, "unanswered"),
    ],
)
def test_a_stream_of_which_only_the_head_came_has_failed_when_its_time_is_over(
    port: int, tmp_path: Path, fields: dict[str, Any], limits: dict[str, Any], outcome: str
) -> None:
    result, samples = load(port, tmp_path, stream("/quiet/60000", **fields), rate_rps=50.0, **limits)
    assert outcomes(samples) == {outcome: 10}
    told = {"a stream ended without an event": 10} if outcome == "check_failed" else {}
    assert result.failed_checks == told


def test_a_streams_first_event_is_waited_for_beyond_the_window(port: int, tmp_path: Path) -> None:
    result, _ = load(port, tmp_path, stream("/quiet/400"), rate_rps=50.0)
    requests, first, gaps = parted(tmp_path)
    assert outcomes(requests) == {"ok": 10}
    assert (len(first), len(gaps)) == (10, 0)
    assert (first["done_ns"] > result.ended_ns).all()


def test_streams_and_plain_requests_go_beside_each_other(port: int, tmp_path: Path) -> None:
    load(port, tmp_path, stream("/events/3"), get("/ok", contains="hello"), rate_rps=100.0)
    requests, first, _ = parted(tmp_path)
    assert set(outcomes(requests)) == {"ok"}
    assert set(first["arrival"]) == set(requests["arrival"][requests["route"] == 0])


# ---- shards


def sharded(folder: Path, port: int, count: int, **fields: Any) -> tuple[LoadResult, Samples]:
    with Launcher(run_folder(), namespace=False) as launcher:
        spec = spec_of(port, folder, get("/ok"), **fields)
        folder.mkdir()
        engines = Generators(launcher, (), folder, spec, count)
        while engines.alive:
            engines.wait(1.0)
        samples = engines.fresh().samples
        assert engines.code == 0
        result = engines.result
        assert result is not None
        return result, samples


@pytest.mark.parametrize("arrivals", ["poisson", "closed"])
def test_shards_of_one_load_send_together_what_one_process_would(port: int, tmp_path: Path, arrivals: str) -> None:
    asked: dict[str, Any] = {"arrivals": arrivals, "duration_s": 1.0}
    asked |= {"users": 7} if arrivals == "closed" else {"rate_rps": 400.0}
    result, samples = sharded(tmp_path / "four", port, 4, **asked)
    assert result.scheduled == len(samples)
    assert outcomes(samples) == {"ok": len(samples)}
    assert len(np.unique(samples["arrival"])) == len(samples), "no arrival is sent twice"
    lag_s = np.sort(samples["sent_ns"] - samples["due_ns"]) / 1e9
    for q, told in ((0.5, result.lag_p50_s), (0.99, result.lag_p99_s)):
        exact = lag_s[int(np.ceil(q * len(lag_s))) - 1]
        assert exact <= told <= exact + 2.1e-6 or exact > 0.067
    if arrivals == "poisson":
        alone, single = load(port, tmp_path, get("/ok"), **asked)
        assert alone.scheduled == result.scheduled
        order = np.argsort(samples["arrival"])
        due = samples["due_ns"][order] - result.started_ns
        assert (due == np.sort(single["due_ns"]) - alone.started_ns).all(), "the very same schedule"
