"""What servers and nginx tell of themselves, into readings."""

from __future__ import annotations

import pytest

from prony.probes import granian, nginx, uwsgi
from tests.unit.test_probes import of


def test_uwsgis_workers_are_busy_idle_or_neither() -> None:
    common = {"requests": 2, "exceptions": 0, "harakiri_count": 1, "respawn_count": 2}
    workers = [{**common, "status": status} for status in ("busy", "idle", "cheap")]
    told = of(uwsgi.readings(workers))
    assert (told["workers_busy"], told["workers_idle"]) == (1, 1)
    assert (told["requests"], told["harakiri"], told["respawns"]) == (6, 3, 3)


GRANIAN_TOLD = """# TYPE granian_workers_respawns_for_err counter
granian_workers_respawns_for_err 1
granian_workers_respawns_for_rss 2
# TYPE granian_connections_active gauge
granian_connections_active{worker="1"} 3
granian_connections_active{worker="2"} 4
granian_requests_handled{worker="1"} 10
granian_requests_handled{worker="2"} 5
granian_static_requests_handled{worker="1"} 100
granian_blocking_busy_cumulative{worker="1"} 1500000
granian_py_wait_cumulative{worker="2"} 250000"""


def test_granians_workers_are_added_up_and_what_a_version_lacks_is_not_told() -> None:
    assert of(granian.Granian(()).readings([GRANIAN_TOLD])) == {
        "granian_requests": 15,
        "connections_active": 7,
        "granian_respawns": 3,
        "blocking_busy_s": 1.5,
        "interpreter_wait_s": 0.25,
    }
    assert of(granian.Granian(()).readings([GRANIAN_TOLD, GRANIAN_TOLD]))["granian_requests"] == 30
    assert granian.Granian(()).readings([""]) == []


def test_a_granian_worker_in_anothers_place_begins_at_0_and_is_added() -> None:
    probe = granian.Granian(())
    texts = [
        f'granian_requests_handled{{worker="1"}} {n}\ngranian_blocking_queue{{worker="1"}} -1' for n in (10, 12, 3)
    ]
    told = [of(probe.readings([text])) for text in texts]
    assert [each["granian_requests"] for each in told] == [10, 12, 15]
    assert {each["blocking_queue"] for each in told} == {-1}


def test_stub_status_counts_itself_out_and_what_it_dropped_in() -> None:
    text = (
        "HTTP/1.1 200 OK\r\n\r\nActive connections: 4 \nserver accepts handled requests\n 10 8 31 \n"
        "Reading: 0 Writing: 1 Waiting: 3 \n"
    )
    told = of(nginx.status(text))
    assert told == {
        "connections_active": 3,
        "connections_idle": 3,
        "connections_accepted": 10,
        "connections_dropped": 2,
    }
    with pytest.raises(ValueError, match="something else"):
        nginx.status("HTTP/1.1 404 Not Found\r\n\r\n")
