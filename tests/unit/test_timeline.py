from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prony.summary.timeline import timeline

INSTANTS = st.lists(st.integers(0, 10**9), min_size=5, max_size=5).map(sorted)
STEPS = st.lists(
    st.tuples(st.sampled_from(["statement", "pool"]), st.just("x"), st.integers(0, 10**9), st.integers(0, 10**9))
)


def test_what_lies_between_steps_is_the_app_s_own() -> None:
    parts = timeline((0, 1, 10, 90, 100), [("outbound", "api", 40, 60), ("statement", "SELECT ?", 15, 20)])
    assert [(part.kind, part.began_ns, part.ended_ns) for part in parts] == [
        ("lateness", 0, 1),
        ("way_in", 1, 10),
        ("app", 10, 15),
        ("statement", 15, 20),
        ("app", 20, 40),
        ("outbound", 40, 60),
        ("app", 60, 90),
        ("way_out", 90, 100),
    ]


@given(INSTANTS, STEPS)
def test_the_parts_follow_each_other_and_add_up_to_the_latency(
    instants: list[int], steps: list[tuple[str, str, int, int]]
) -> None:
    parts = timeline(instants, steps)
    assert [part.ended_ns for part in parts[:-1]] == [part.began_ns for part in parts[1:]]
    assert sum(part.ended_ns - part.began_ns for part in parts) == instants[-1] - instants[0]
    assert all(part.ended_ns >= part.began_ns for part in parts)
