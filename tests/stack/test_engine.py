from __future__ import annotations

import http.client
import json
import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from prony.load.account import LoadResult, LoadTick
from prony.load.engine import Engine
from prony.load.spec import Expectation, RequestSpec
from prony.samples import CHECK_FAILED, OUTCOMES, SAMPLE, from_bytes
from tests.stack.engine_case import get, load, outcomes, planted, server_counts, spec_of

pytestmark = pytest.mark.alone


@pytest.fixture
def port() -> Iterator[int]:
    with planted() as port:
        yield port


@pytest.mark.parametrize(
    ("request_", "outcome"),
    [
        (get("/ok"), "ok"),
        (get("/ok", contains="lo wor"), "ok"),
        (get("/ok", contains="goodbye"), "check_failed"),
        (get("/status/503"), "wrong_status"),
        (get("/status/503", 200, 503), "ok"),
        (get("/bodiless/204", 204), "ok"),
        (get("/bodiless/304", 304), "ok"),
        (get("/ok", method="HEAD"), "ok"),
        (get("/ok", method="POST"), "ok"),
        (get("/close", contains="hello world"), "ok"),
        (get("/old", contains="hello world"), "ok"),
        (get("/lengthless", contains="hello world"), "ok"),
        (get("/chunked", contains="hello world"), "ok"),
        (get("/interim", contains="hello world"), "ok"),
        (get("/twice"), "ok"),
        (get("/cut"), "reset"),
        (get("/reset"), "reset"),
        (get("/head/60000"), "ok"),
        (get("/head/70000"), "protocol_error"),
        (get("/body/5000"), "ok"),
        (get("/body/5001"), "protocol_error"),
        (get("/endless"), "protocol_error"),
    ],
    ids=lambda value: (
        f"{value.method} {value.path} {value.expect.contains}" if isinstance(value, RequestSpec) else value
    ),
)
def test_an_answer_ends_in_its_outcome(port: int, tmp_path: Path, request_: RequestSpec, outcome: str) -> None:
    result, samples = load(port, tmp_path, request_, body_bytes_max=5000, rate_rps=100)
    assert outcomes(samples) == {outcome: 20}
    assert result.done == result.sent == result.scheduled == 20
    assert (samples["sent_ns"] >= samples["due_ns"]).all()
    if outcome in {"ok", "check_failed", "wrong_status"}:
        assert set(samples["status"]) <= set(request_.expect.status) | {503}
        assert (samples["first_byte_ns"] >= samples["sent_ns"]).all()
        assert (samples["bytes"] > 0).all()


def test_a_port_where_nobody_listens_refuses(tmp_path: Path) -> None:
    _, samples = load(9, tmp_path, get("/ok"))
    assert outcomes(samples) == {"refused": 40}
    assert not samples["first_byte_ns"].any()


def test_users_of_a_stopped_server_do_not_spin(tmp_path: Path) -> None:
    _, samples = load(9, tmp_path, get("/ok"), arrivals="closed", users=2, duration_s=0.3)
    assert set(outcomes(samples)) == {"refused"}
    assert 2 <= len(samples) <= 2 * 31


@pytest.mark.parametrize("path", ["/hang", "/half"])
def test_a_request_without_a_whole_answer_times_out(port: int, tmp_path: Path, path: str) -> None:
    _, samples = load(port, tmp_path, get(path), timeout_s=0.3)
    assert outcomes(samples) == {"timeout": 40}
    assert (samples["done_ns"] - samples["sent_ns"] >= 0.3e9).all()


def test_what_is_under_way_at_the_end_of_the_drain_is_unanswered(port: int, tmp_path: Path) -> None:
    result, samples = load(port, tmp_path, get("/hang"), drain_s=0.2)
    assert outcomes(samples) == {"unanswered": 40}
    assert set(samples["done_ns"]) == {result.drained_ns}
    assert result.drained_ns - result.ended_ns >= 0.2e9
    assert result.done == 0


def test_what_never_gets_a_connection_is_not_sent(port: int, tmp_path: Path) -> None:
    result, samples = load(port, tmp_path, get("/hang"), connections=3, drain_s=0.1)
    assert outcomes(samples) == {"unanswered": 3, "not_sent": 37}
    assert not samples["sent_ns"][samples["outcome"] == OUTCOMES.index("not_sent")].any()
    assert result.sent == 3
    assert server_counts(port)["connections"] == 3 + 1


def test_what_waits_for_a_connection_is_sent_late_and_in_its_order(port: int, tmp_path: Path) -> None:
    _, samples = load(port, tmp_path, get("/slow/20"), connections=1)
    assert outcomes(samples) == {"ok": 40}
    assert (np.diff(samples["due_ns"]) == 5_000_000).all()
    assert samples["sent_ns"][-1] - samples["due_ns"][-1] > 0.4e9


def test_latency_counts_from_when_it_was_due_while_the_server_is_frozen(port: int, tmp_path: Path) -> None:
    _, samples = load(port, tmp_path, get("/freeze/300"), duration_s=0.5)
    assert outcomes(samples) == {"ok": 100}
    first_ns = samples["due_ns"].min()
    for sample in samples[samples["due_ns"] < first_ns + 0.25e9]:
        left_ns = 0.3e9 - (sample["due_ns"] - first_ns)
        assert sample["done_ns"] - sample["due_ns"] > 0.9 * left_ns


@pytest.mark.parametrize("think_s", [0.0, 0.01])
def test_a_closed_loop_has_no_more_requests_under_way_than_users(port: int, tmp_path: Path, think_s: float) -> None:
    result, samples = load(port, tmp_path, get("/slow/10"), arrivals="closed", users=5, duration_s=0.5, think_s=think_s)
    assert set(outcomes(samples)) == {"ok"}
    assert server_counts(port)["most_under_way"] <= 5
    assert 5 < len(samples) <= 5 * math.ceil(0.5 / (0.01 + think_s))
    assert samples["due_ns"].max() < result.ended_ns
    done = set(samples["done_ns"].tolist())
    former = [due - round(think_s * 1e9) for due in sorted(samples["due_ns"].tolist())[5:]]
    assert sum(due in done for due in former) >= len(former) - 5  # all but the users' first


def test_connections_are_kept(port: int, tmp_path: Path) -> None:
    result, _ = load(port, tmp_path, get("/ok"), arrivals="closed", users=4, duration_s=0.3)
    assert result.connections_opened <= 4
    assert server_counts(port)["connections"] == result.connections_opened + 1


@pytest.mark.parametrize("path", ["/close", "/old", "/twice"])
def test_a_connection_that_is_not_to_be_kept_is_opened_for_each(port: int, tmp_path: Path, path: str) -> None:
    result, samples = load(port, tmp_path, get(path))
    assert result.connections_opened == len(samples) == 40


def test_head_answers_keep_their_connection(port: int, tmp_path: Path) -> None:
    result, samples = load(port, tmp_path, get("/ok", method="HEAD"), arrivals="closed", users=1)
    assert set(outcomes(samples)) == {"ok"}
    assert result.connections_opened == 1
    assert len(samples) > 1


def test_a_get_on_a_connection_closed_meanwhile_is_sent_again_and_a_post_is_not(port: int, tmp_path: Path) -> None:
    result, samples = load(port, tmp_path, get("/drop"), arrivals="closed", users=1, duration_s=0.2)
    assert set(outcomes(samples)) == {"ok"}
    assert result.retried >= len(samples) - 1 > 0
    (tmp_path / "segment").unlink()
    result, samples = load(port, tmp_path, get("/drop", method="POST"), arrivals="closed", users=1, duration_s=0.2)
    assert set(outcomes(samples)) == {"ok", "reset"}
    assert result.retried == 0


def test_routes_come_in_their_shares(port: int, tmp_path: Path) -> None:
    requests = [RequestSpec(path="/ok", weight=3), RequestSpec(path="/status/404", weight=1), RequestSpec(weight=0)]
    _, samples = load(port, tmp_path, *requests, arrivals="poisson", rate_rps=1000, duration_s=0.5)
    assert set(samples["route"]) == {0, 1}
    assert ((samples["route"] == 1) == (samples["status"] == 404)).all()
    assert 0.15 < np.mean(samples["route"]) < 0.35


@pytest.mark.parametrize(
    ("path", "right", "wrong", "said"),
    [
        ("/json", {"type": "application/json"}, {"type": "text/html"}, "the type is not text/html"),
        ("/json", {"header": {"x-cache": "HIT*"}}, {"header": {"X-Cache": "HIT"}}, 'the field X-Cache is not "HIT"'),
        ("/json", {"json": {"items.0.name": "Tea"}}, {"json": {"items.1": "*"}}, "no JSON with items.1"),
        ("/json", {"matches": "T.a"}, {"matches": "^T"}, 'nothing in the body matches "^T"'),
        ("/json", {"min_bytes": 28}, {"min_bytes": 29}, "the body has fewer than 29 bytes"),
        ("/packed", {"contains": "<title>"}, {"contains": "Shops"}, 'the body does not contain "Shops"'),
        ("/body/500000", {"max_bytes": 500_000}, {"sha256": "0" * 64}, "the body is not the one of SHA-256 0000"),
    ],
)
def test_what_a_wrong_answer_lacked_is_counted(  # noqa: PLR0917 - two fixtures and a case
    port: int, tmp_path: Path, path: str, right: dict[str, Any], wrong: dict[str, Any], said: str
) -> None:
    requests = [RequestSpec(path=path, expect=Expectation(**fields)) for fields in (right, wrong)]
    result, samples = load(port, tmp_path, *requests)
    assert set(outcomes(samples)) == {"ok", "check_failed"}
    assert ((samples["route"] == 1) == (samples["outcome"] == CHECK_FAILED)).all()
    [(text, count)] = result.failed_checks.items()
    assert text.startswith(f"{path}: {said}")
    assert count == np.count_nonzero(samples["outcome"] == CHECK_FAILED)


def asked(port: int) -> dict[str, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/asked")
    found: dict[str, int] = json.loads(connection.getresponse().read())
    connection.close()
    return {what: count for what, count in found.items() if what != "/asked"}


def test_users_of_a_closed_loop_each_stay_one_visitor(port: int, tmp_path: Path) -> None:
    visitors = ({"Cookie": "s=a"}, {"Cookie": "s=b"}, {"Cookie": "s=c"})
    requests = (RequestSpec(path="/slow/20"), RequestSpec(path="/ok", anonymous=True, weight=0.5))
    for think_s in (0.0, 0.005):
        load(port, tmp_path, *requests, arrivals="closed", users=3, think_s=think_s, visitors=visitors, duration_s=0.4)
        (tmp_path / "segment").unlink()
    found = asked(port)
    assert set(found) == {"/slow/20 s=a", "/slow/20 s=b", "/slow/20 s=c", "/ok"}
    shares = [count for what, count in found.items() if what != "/ok"]
    assert max(shares) <= 3 * min(shares)


def test_requests_of_an_open_loop_go_out_as_each_visitor_in_turn_and_to_all_paths(port: int, tmp_path: Path) -> None:
    visitors = ({"Cookie": "s=a"}, {"Cookie": "s=b"})
    load(port, tmp_path, RequestSpec(path="/ok/", paths=("/ok/1", "/ok/2")), visitors=visitors)
    found = asked(port)
    assert set(found) == {f"/ok/{i} s={s}" for i in (1, 2) for s in "ab"}
    assert found["/ok/1 s=a"] + found["/ok/2 s=a"] == 20


def test_hundreds_of_hostile_answers_end_as_samples(port: int, tmp_path: Path) -> None:
    requests = [get("/junk"), get("/junk", contains="hello"), get("/junk", method="HEAD")]
    result, samples = load(port, tmp_path, *requests, rate_rps=600, duration_s=1, timeout_s=0.3)
    assert len(samples) == result.done == 600
    found = outcomes(samples)
    assert found["ok"] > 20
    assert found["protocol_error"] > 50


def test_ticks_come_each_second_and_the_result_sums_up(port: int, tmp_path: Path) -> None:
    ticks: list[LoadTick] = []
    result = Engine(spec_of(port, tmp_path, get("/ok"), duration_s=1.3), on_tick=ticks.append).run()
    assert len(ticks) == 1
    assert 200 <= ticks[0].scheduled <= result.scheduled == 260
    assert ticks[0].t_ns - result.started_ns >= 1e9
    assert 0 < result.cpu_s < 1.3
    assert 0 < result.lag_p50_s <= result.lag_p99_s
    assert not result.interrupted


def test_a_full_disk_ends_the_load_with_an_error(port: int, tmp_path: Path) -> None:
    spec = msgspec.structs.replace(spec_of(port, tmp_path, get("/ok")), segment="/dev/full")
    with pytest.raises(OSError, match="No space left"):
        Engine(spec).run()


def worker(spec_path: Path, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "prony.load.worker", str(spec_path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def test_sigterm_leaves_the_finished_samples_and_a_result(port: int, tmp_path: Path) -> None:
    spec = spec_of(port, tmp_path, get("/ok"), duration_s=60)
    (tmp_path / "spec.json").write_bytes(msgspec.json.encode(spec))
    with worker(tmp_path / "spec.json") as process:
        assert process.stdout
        tick = msgspec.json.decode(process.stdout.readline(), type=LoadTick | LoadResult)
        assert isinstance(tick, LoadTick)
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=10)
    result = msgspec.json.decode(rest.splitlines()[-1], type=LoadTick | LoadResult)
    assert (process.returncode, errors) == (0, b"")
    assert isinstance(result, LoadResult)
    assert result.interrupted
    samples = from_bytes(Path(spec.segment).read_bytes())
    assert len(samples) == result.scheduled >= tick.done > 100


def test_a_killed_generator_leaves_all_but_the_last_tenth_of_a_second(port: int, tmp_path: Path) -> None:
    spec = spec_of(port, tmp_path, get("/ok"), duration_s=60)
    (tmp_path / "spec.json").write_bytes(msgspec.json.encode(spec))
    with worker(tmp_path / "spec.json") as process:
        assert process.stdout
        tick = msgspec.json.decode(process.stdout.readline(), type=LoadTick)
        process.kill()
        process.communicate(timeout=10)
    raw = Path(spec.segment).read_bytes()
    assert len(raw) % SAMPLE.itemsize == 0
    assert len(from_bytes(raw)) >= tick.done - 0.15 * 200


def test_a_host_that_is_not_loopback_is_refused_before_a_socket_is_opened(tmp_path: Path) -> None:
    spec = msgspec.to_builtins(spec_of(9, tmp_path, get("/ok"))) | {"host": "192.0.2.1"}
    (tmp_path / "spec.json").write_bytes(msgspec.json.encode(spec))
    program = (
        "import sys\n"
        "sys.addaudithook(lambda event, _: event.startswith('socket.') and sys.exit(f'{event} happened'))\n"
        "from prony.load.worker import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "spec.json")], capture_output=True, text=True, check=False
    )
    assert process.returncode == 2
    assert "load goes only to loopback" in process.stderr
    assert not Path(tmp_path / "segment").exists()
