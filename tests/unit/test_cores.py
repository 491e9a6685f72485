"""A machine's cores, divided among the generator, prony and the stack."""

from __future__ import annotations

import pytest

from prony.stack.cores import Cores, divide


@pytest.mark.parametrize(
    ("count", "divided"),
    [
        (1, Cores((0,), (0,), (0,))),
        (2, Cores((0,), (0,), (1,))),
        (3, Cores((0,), (0,), (1, 2))),
        (4, Cores((0,), (1,), (2, 3))),
        (7, Cores((0,), (1,), (2, 3, 4, 5, 6))),
        (8, Cores((0, 1), (2,), (3, 4, 5, 6, 7))),
        (16, Cores((0, 1, 2, 3), (4,), tuple(range(5, 16)))),
    ],
)
def test_the_generator_has_one_core_in_four_and_at_least_one(count: int, divided: Cores) -> None:
    assert divide(tuple(range(count))) == divided
    assert divided.shared == (count == 1)
