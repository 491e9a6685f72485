# ruff: noqa: S608 (nothing is executed here)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony_gauge.statements import CHARS, shape_of


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("SELECT 1", "SELECT ?"),
        ("SELECT * FROM t WHERE id = %s;", "SELECT * FROM t WHERE id = ?"),
        ("SELECT * FROM t\n  WHERE id IN (1, 2,3)", "SELECT * FROM t WHERE id IN (?)"),
        ("INSERT INTO t VALUES (%s, %s), (%s, %s)", "INSERT INTO t VALUES (?)"),
        ("SELECT 'it''s', E'a\\'b', $$x$$, $a$y$a$ -- who", "SELECT ?"),
        ('SELECT "t"."id" FROM "t1" WHERE "t"."x" = $1', 'SELECT "t"."id" FROM "t1" WHERE "t"."x" = ?'),
        ("SELECT a::int FROM t WHERE b = :b AND c = %(c)s", "SELECT a::int FROM t WHERE b = ? AND c = ?"),
        ("SELECT /* alice */ -1.5e3 + col2", "SELECT ? + col2"),
        ("SELECT 'never ends", "SELECT ?"),
    ],
)
def test_a_shape_has_no_values(text: str, shape: str) -> None:
    assert shape_of(text) == shape


def test_mysql_s_double_quotes_hold_strings() -> None:
    assert shape_of("SELECT * FROM `t` WHERE a = \"alice\" AND b = 'o\\'b'", mysql=True) == (
        "SELECT * FROM `t` WHERE a = ? AND b = ?"
    )


@given(st.text())
def test_no_quoted_literal_gets_out(value: str) -> None:
    quoted = "'" + value.replace("'", "''") + "'"
    assert shape_of(f"SELECT * FROM t WHERE a = {quoted} AND b") == "SELECT * FROM t WHERE a = ? AND b"


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_no_number_gets_out(value: float) -> None:
    assert shape_of(f"UPDATE t SET a = {value} WHERE b") == "UPDATE t SET a = ? WHERE b"


@given(st.lists(st.integers(), min_size=1, max_size=30))
def test_a_list_s_length_does_not_tell_statements_apart(values: list[int]) -> None:
    assert shape_of(f"SELECT a FROM t WHERE b IN ({', '.join(map(str, values))})") == "SELECT a FROM t WHERE b IN (?)"


@given(st.text(max_size=3000))
def test_whatever_it_is_the_shape_is_short_and_on_one_line(text: str) -> None:
    shape = shape_of(text)
    assert len(shape) <= CHARS
    assert "\n" not in shape
