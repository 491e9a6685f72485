from __future__ import annotations

import pytest

from prony_gauge.sqlstate import name_of, sqlstate


class OperationalError(Exception):
    """As drivers and frameworks call theirs."""

    sqlstate: str | None = None


class UnprintableError(OperationalError):
    def __str__(self) -> str:
        raise RuntimeError


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def test_an_exception_is_named_by_its_type() -> None:
    assert name_of(ValueError("x")) == "ValueError"
    assert name_of(OperationalError("x")).endswith(".OperationalError")


def test_the_sqlstate_of_a_cause_is_found() -> None:
    inner = OperationalError("deadlock detected")
    inner.sqlstate = "40P01"
    assert sqlstate(caused(RuntimeError(), caused(RuntimeError(), inner))) == "40P01"


def test_psycopg2_s_attribute_is_known() -> None:
    error = Exception()
    error.pgcode = "23505"  # type: ignore[attr-defined]
    assert sqlstate(error) == "23505"


@pytest.mark.parametrize(
    "text",
    [
        "FATAL:  sorry, too many clients already",
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        'FATAL:  too many connections for role "shop"',
        'FATAL:  too many connections for database "shop"',
    ],
)
def test_a_refused_connection_is_known_by_its_text(text: str) -> None:
    assert name_of(OperationalError(f"connection failed: {text}")).endswith("OperationalError[53300]")


def test_any_other_exception_s_text_is_not_asked_for() -> None:
    assert sqlstate(ValueError("too many clients already")) == ""
    assert name_of(UnprintableError()).endswith("UnprintableError")


def test_a_chain_that_bites_its_tail_ends() -> None:
    one, two = ValueError(), KeyError()
    one.__context__, two.__context__ = two, one
    assert sqlstate(one) == ""
