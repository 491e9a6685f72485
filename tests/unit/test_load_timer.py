from __future__ import annotations

import time

import pytest

from prony.load import timer as timers
from prony.load.loop import Loop
from prony.load.timer import Timer


@pytest.fixture(params=["timerfd", "call_later"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Loop:
    if request.param == "call_later":
        monkeypatch.setattr(timers, "HAS_TIMERFD", False)
    elif not timers.HAS_TIMERFD:
        pytest.skip("no timerfd here")
    return Loop()


def test_it_rings_at_each_armed_instant_and_never_before(loop: Loop) -> None:
    due_ns = [time.monotonic_ns() + step * 5_000_000 for step in (1, 2, -1, 3)]
    rung: list[int] = []

    def ring() -> None:
        rung.append(time.monotonic_ns())
        if len(rung) < len(due_ns):
            timer.arm(due_ns[len(rung)])
        else:
            timer.acknowledge()
            timer.disarm()
            loop.call_later(0.02, loop.stop)

    timer = Timer(loop, ring)
    timer.arm(due_ns[0])
    loop.run()
    timer.close()
    timer.close()
    loop.close()
    slack_ns = 0 if timers.HAS_TIMERFD else 2_000_000  # libuv counts in milliseconds
    assert len(rung) == len(due_ns)
    assert all(at >= due - slack_ns for at, due in zip(rung, due_ns, strict=True))


def test_it_does_not_ring_once_disarmed(loop: Loop) -> None:
    rung: list[int] = []
    timer = Timer(loop, lambda: rung.append(1))
    timer.arm(time.monotonic_ns() + 2_000_000)
    timer.disarm()
    timer.acknowledge()
    loop.call_later(0.02, loop.stop)
    loop.run()
    timer.close()
    loop.close()
    assert not rung


def test_an_armed_instant_replaces_the_one_before(loop: Loop) -> None:
    rung: list[int] = []

    def ring() -> None:
        rung.append(1)
        timer.disarm()
        loop.stop()

    timer = Timer(loop, ring)
    timer.arm(time.monotonic_ns() + 60_000_000_000)
    timer.arm(1)
    loop.run()
    timer.close()
    loop.close()
    assert rung == [1]
