"""Figures as a person reads them: three digits or so, a unit, and a dash where there is none."""

from __future__ import annotations

import pytest

from prony import figures


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.00042, "420 µs"),
        (0.00099949, "999 µs"),
        (0.0009996, "1.0 ms"),
        (0.0042, "4.2 ms"),
        (0.00996, "10 ms"),
        (0.112, "112 ms"),
        (0.9996, "1.00 s"),
        (1.37, "1.37 s"),
        (9.996, "10.0 s"),
        (14.0, "14.0 s"),
        (119.96, "2 min 00 s"),
        (125.2, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (-0.0042, "−4.2 ms"),
    ],
)
def test_a_duration_has_the_unit_that_suits(seconds: float, text: str) -> None:
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (0.0, "0 %"),
        (0.0001, "<0.1 %"),
        (0.004, "0.4 %"),
        (0.05, "5 %"),
        (0.0996, "10 %"),
        (0.12, "12 %"),
        (0.9999, ">99 %"),
        (1.0, "100 %"),
    ],
)
def test_a_share_is_0_or_100_only_where_it_is_exactly_that(part: float, text: str) -> None:
    assert figures.share(part) == text


@pytest.mark.parametrize(
    ("in_bytes", "text"),
    [(0, "0 B"), (512, "512 B"), (4200, "4.2 kB"), (112_400_000, "112 MB"), (999_700_000, "1 GB"), (2.14e9, "2.1 GB")],
)
def test_a_size_counts_in_powers_of_ten(in_bytes: float, text: str) -> None:
    assert figures.size(in_bytes) == text


@pytest.mark.parametrize(
    ("per_s", "text"), [(0.0, "0 rps"), (4.21, "4.2 rps"), (9.96, "10 rps"), (48.3, "48 rps"), (1240.0, "1 240 rps")]
)
def test_a_rate_is_in_requests_per_second(per_s: float, text: str) -> None:
    assert figures.rate(per_s) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (18_000, "18 000"), (3.04, "3"), (3.4, "3.4"), (0.012, "0.01"), (-4, "−4")]
)
def test_a_count_parts_thousands(number: float, text: str) -> None:
    assert figures.count(number) == text


def test_columns_leave_the_unit_to_their_header() -> None:
    assert figures.milliseconds(1.2404) == "1 240"
    assert figures.milliseconds(0.0042) == "4.2"
    assert figures.megabytes(112_400_000) == "112"
    assert figures.percent(0.004) == "0.4"


@pytest.mark.parametrize(
    "of",
    [
        figures.duration,
        figures.rate,
        figures.share,
        figures.size,
        figures.count,
        figures.percent,
        figures.milliseconds,
        figures.megabytes,
    ],
    ids=lambda of: of.__name__,
)
def test_none_and_what_is_no_number_are_a_dash(of: object) -> None:
    assert callable(of)
    assert [of(None), of(float("nan")), of(float("inf"))] == ["–", "–", "–"]
